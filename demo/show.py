"""What the walkthrough prints, and how it ends when something is not as it should be."""
import json
import os
import shlex
import subprocess
import sys


class Deviation(Exception):
    """Something was not as expected."""


class Show:
    """Runs commands as a person would type them, shows them with their real output, and keeps both."""

    def __init__(self, environment, directory, names):
        self.environment = environment
        self.directory = directory
        # How long paths are shown: {path: short form}.
        self.names = names
        self.act = 0
        self.seen = []
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def heading(self, text):
        self.act += 1
        self.line()
        self.line(f"{self._bold(str(self.act))}  {self._bold(text)}")

    def line(self, text=""):
        self.seen.append(text)
        print(text, flush=True)

    def command(self, *arguments, expect=0, timeout=120, show=True, brief=None, cwd=None):
        """One command. `brief` makes a few lines of its standard output; without it all is shown."""
        shown = " ".join(self._short(shlex.quote(str(one))) for one in arguments)
        self.line(f"$ {shown}")
        done = subprocess.run(
            [str(one) for one in arguments],
            cwd=cwd or self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        self.seen += [done.stdout, done.stderr]
        out = brief(done.stdout) if brief and done.returncode == expect else done.stdout
        for text in (out, done.stderr):
            for line in text.rstrip().splitlines() if show or done.returncode != expect else []:
                self.line(f"  {line}" if line else "")
        if done.returncode != expect:
            raise Deviation(f"exit code {done.returncode} of: {shown}; expected {expect}")
        return done.stdout

    def json(self, *arguments, **options):
        text = self.command(*arguments, **options)
        try:
            return json.loads(text)
        except ValueError as error:
            raise Deviation(f"not JSON: {text[:300]!r}") from error

    def expect(self, what, found, wanted):
        if found != wanted:
            raise Deviation(f"expected {what} {wanted}, got {found}")

    def _short(self, text):
        for long, short in self.names.items():
            text = text.replace(str(long), short)
        return text

    def _bold(self, text):
        return f"\033[1m{text}\033[0m" if self.colour else text
