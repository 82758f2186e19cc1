"""A shell in an empty HOME, with `dispatch` on its PATH; and the server that a page starts in it."""
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from show import Deviation
from stage import free_port, wait_for

# What an empty machine's login has, and what its owner told pip and npm.
KEPT = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT", "npm_",
        "NODE_EXTRA")
PATIENCE_SECONDS = 120
INTERRUPT_SECONDS = 5
# The ports in the pages: the server's, and one for servers of the broker's.
USUAL = (8080, 8081, 8444, 41991)
# The shell reads one command after the other from descriptor 3; what it runs does not see that.
LOOP = """
while IFS= read -r -d '' command <&3; do
    eval "$command" 3<&-
    printf '\\n%s %s\\n' "$MARK" "$?"
done
"""
MARK = "--ended--"


class Shell:
    NOT_ENDED = None

    def __init__(self, binaries, user, examples):
        self.user = user
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-docs-"))
        self.home = self.directory / "you"
        self.home.mkdir()
        # The PostgreSQL of root's broker runs as postgres, who may pass.
        for path in (self.directory, self.home):
            path.chmod(0o711)
        shutil.copytree(examples, self.home / "examples")
        programs = self.directory / "bin"
        programs.mkdir()
        # An ordinary user may not be let into where it was built.
        shutil.copy(binaries / "dispatch", programs) if user else (programs / "dispatch").symlink_to(binaries / "dispatch")
        self.ports = {usual: free_port() for usual in USUAL}
        self.server_log = self.home / "server.log"
        self.servers, self.ended_log = [], None
        self._own()
        self.environment = self._environment(programs)
        self._start()

    def _own(self):
        if self.user:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _environment(self, programs):
        listen = {name: f"127.0.0.1:{self.ports[port]}" for name, port in
                  (("LISTEN", 8080), ("GATEWAY_LISTEN", 8081), ("GATEWAY_TLS_LISTEN", 8444))}
        environment = {f"DISPATCH_SERVER_{name}": value for name, value in listen.items()}
        if os.geteuid() == 0 and not self.user:
            # Not where a server of this machine has its own.
            environment |= {"DISPATCH_SERVER_DATA": str(self.home / "data"), "DISPATCH_SERVER_KEYS": str(self.home / "keys"),
                            "DISPATCH_SERVER_USER": ""}
        usual = os.environ.get("PATH", "/usr/bin:/bin")
        environment |= {"PATH": f"{programs}:{usual}", "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", "MARK": MARK,
                        "TMPDIR": str(self.home)}
        return environment | {name: value for name, value in os.environ.items() if name.startswith(KEPT)}

    def _options(self):
        options = {"cwd": self.home, "env": self.environment, "stdin": subprocess.DEVNULL, "start_new_session": True}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return options

    def _start(self):
        theirs, self.commands = os.pipe()

        def third():
            os.dup2(theirs, 3)

        self.bash = subprocess.Popen(["bash", "--noprofile", "--norc", "-c", LOOP], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, preexec_fn=third, pass_fds=(3,), **self._options())
        os.close(theirs)

    # What a reader does

    def write(self, path, text):
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._here(text))
        self._own()

    def type(self, command):
        """(what it prints, exit code)."""
        is_server = command.split("#")[0].strip() == "dispatch server &"
        given = f"dispatch server >{self.server_log} 2>&1 & echo $!" if is_server else command
        os.write(self.commands, self._here(given).encode() + b"\0")
        printed, code = self._until_mark()
        if is_server:
            self.servers.append(int(printed))
            config = self.home / ".dispatch/config.json"
            wait_for("the server", lambda: config.exists() and socket.create_connection(("127.0.0.1", self.ports[8080]), 1))
            printed = wait_for("what the server says first", self._said)
        return self._shown(printed), code

    def interrupt(self, command, enough):
        """The same, ended by Ctrl-C as soon as it has printed `enough`, or nothing more is to be expected."""
        process = subprocess.Popen(["bash", "--noprofile", "--norc", "-c", f"exec {self._here(command)}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self._options())
        printed, until = b"", time.monotonic() + INTERRUPT_SECONDS
        while time.monotonic() < until and not enough(self._shown(printed.decode())):
            if select.select([process.stdout], [], [], 0.1)[0]:
                more = os.read(process.stdout.fileno(), 65536)
                printed += more
                if not more:
                    break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return self._shown((printed + rest).decode()).rstrip(), process.returncode

    def _until_mark(self):
        printed, until = b"", time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if not select.select([self.bash.stdout], [], [], 1)[0]:
                continue
            more = os.read(self.bash.stdout.fileno(), 65536)
            printed += more
            before, mark, after = printed.decode(errors="replace").rpartition(f"\n{MARK} ")
            if mark and after.endswith("\n"):
                return before, int(after)
            if not more:
                raise Deviation("the shell has ended")
        return printed.decode(errors="replace"), self.NOT_ENDED

    def _said(self):
        """What is on the terminal once the server listens; its log is in lines of JSON, and goes elsewhere."""
        lines = [line for line in self.log().splitlines(keepends=True) if not line.startswith("{")]
        return "".join(lines) if len(lines) > 1 and lines[-1].endswith("\n") else None

    def log(self):
        if self.ended_log is not None:
            return self.ended_log
        return self.server_log.read_text() if self.server_log.exists() else ""

    def _here(self, command):
        for usual, port in self.ports.items():
            command = re.sub(rf"\b{usual}\b", str(port), command)
        return command

    def _shown(self, text):
        for usual, port in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(usual), text)
        return text.replace(str(self.home), "/home/you")

    # The end

    def stop(self):
        """Ends it and all that was started in it. What should have ended with the server, and has not."""
        os.close(self.commands)
        self._end(self.servers, signal.SIGTERM)
        # A PostgreSQL that a broker has made goes on, as it should.
        left = [self._name(pid) for pid in self._inside() if pid != self.bash.pid]
        self._end([pid for pid in self._inside() if self._is_first(pid)], signal.SIGQUIT)
        self._end([pid for pid in self._inside() if pid != self.bash.pid], signal.SIGKILL)
        self.bash.wait(timeout=PATIENCE_SECONDS)
        self.ended_log = self.log()
        shutil.rmtree(self.directory)
        return sorted({name for name in left if name != "postgres"})

    def _inside(self):
        """Processes that work in its directory."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                place = pathlib.Path(os.readlink(process / "cwd").removesuffix(" (deleted)"))
            except OSError:
                continue
            if place.is_relative_to(self.directory):
                found.append(int(process.name))
        return found

    def _end(self, pids, how):
        for pid in pids:
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue
        try:
            wait_for("an end", lambda: not any(self._is_alive(pid) for pid in pids), 40)
        except Deviation:
            pass

    @staticmethod
    def _is_alive(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    @staticmethod
    def _name(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return "postgres"  # it has ended meanwhile

    @staticmethod
    def _is_first(pid):
        """Whether it is a PostgreSQL server's first process."""
        try:
            return int((pathlib.Path(f"/proc/{pid}/cwd/postmaster.pid")).read_text().split()[0]) == pid
        except (OSError, ValueError, IndexError):
            return False
