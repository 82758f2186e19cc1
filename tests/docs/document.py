"""Reads a page of the documentation: what it has its reader type, and what it says comes of it.

Three kinds of fenced block have a meaning; CONTRIBUTING.md says how to write them:

    ```console          commands after "$ ", each with what it prints; after "# " what only a machine of one's own can do
    ```python hello.py  a file that the reader makes
    ```text             neither
"""
import dataclasses
import re

# Files that a reader makes, by the language of their block.
LANGUAGES = {"python", "javascript", "json", "yaml", "toml", "text", "ini"}
INTERRUPT = "^C"


class Unreadable(Exception):
    """The page is not written as it should be."""


@dataclasses.dataclass
class Step:
    """A command, or a file when there is a path."""

    place: str
    command: str = ""
    output: list = dataclasses.field(default_factory=list)
    # Where the output stands in the page: from this line, so many.
    first: int = 0
    as_root: bool = False
    path: str = ""
    text: str = ""

    @property
    def is_interrupted(self):
        return bool(self.output) and self.output[-1] == INTERRUPT


def steps(name, text):
    """All steps of a page, in order."""
    found, lines, number = [], text.splitlines(), 0
    while number < len(lines):
        line = lines[number]
        if not line.startswith("```"):
            if re.match(r"(    |\t)\s*(\$ |# |dispatch |make )", line):
                raise Unreadable(f"{name}:{number + 1}: a command that is in no ```console block: {line.strip()}")
            number += 1
            continue
        end = next((at for at in range(number + 1, len(lines)) if lines[at].startswith("```")), None)
        if end is None:
            raise Unreadable(f"{name}:{number + 1}: a block without an end")
        found += block(name, line[3:].split(), lines[number + 1:end], number + 1)
        number = end + 1
    return found


def block(name, info, body, first):
    place = f"{name}:{first}"
    match info:
        case ["console"]:
            return console(name, body, first)
        case [language, path] if language in LANGUAGES:
            return [Step(place, path=path, text="\n".join(body) + "\n")]
        case ["text"]:
            if any(line.startswith(("$ ", "dispatch ")) for line in body):
                raise Unreadable(f"{place}: commands belong into a ```console block")
            return []
        case _:
            raise Unreadable(f"{place}: ```{' '.join(info)} is no block that is known (console, LANGUAGE FILE, text)")


def console(name, body, first):
    found = []
    for offset, line in enumerate(body):
        place = f"{name}:{first + offset + 1}"
        if line.startswith(("$ ", "# ")):
            found.append(Step(place, command=line[2:], first=first + offset + 1, as_root=line.startswith("# ")))
        elif not found:
            raise Unreadable(f"{place}: output without a command: {line}")
        elif found[-1].command.endswith("\\") and not found[-1].output:
            found[-1].command += "\n" + line
            found[-1].first += 1
        else:
            found[-1].output.append(line)
    return found


def links(text):
    """Files of this repository that the page names in links."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]


def rewritten(text, changes):
    """The page with other outputs: [(step, lines)]."""
    lines = text.splitlines()
    for step, output in sorted(changes, key=lambda change: -change[0].first):
        lines[step.first:step.first + len(step.output)] = output
    return "\n".join(lines) + "\n"
