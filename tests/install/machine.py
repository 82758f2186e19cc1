"""A machine of its own with systemd as its first process, in namespaces of this one. What is done to it stays in it."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from show import Deviation  # noqa: E402
from stage import wait_for  # noqa: E402

# At most, for what is written there: some packages' worth of files, and two PostgreSQL servers.
MEMORY = "2g"
NAMESPACES = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]


def why_not():
    """Why this machine cannot hold another one; None if it can."""
    if os.geteuid() != 0:
        return "only root makes a machine in a machine"
    missing = [name for name in ("unshare", "nsenter", "setpriv", "systemctl", "dpkg-deb", "adduser") if not shutil.which(name)]
    if missing or not pathlib.Path("/lib/systemd/systemd").exists():
        return f"missing: {', '.join(missing) or 'systemd'}"
    try:
        group = make_group()
    except OSError as error:
        return f"no cgroup can be made: {error}"
    group.rmdir()
    tried = subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, text=True)
    return tried.stderr.strip() or None


def make_group():
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    point = next((mount[1] for mount in mounts if mount[2] == "cgroup2"), None)
    if point is None:
        raise OSError("cgroup v2 is not mounted")
    group = pathlib.Path(point) / f"dispatch-install-{os.getpid()}"
    group.mkdir(exist_ok=True)
    return group


class Controllers:
    """One controller of cgroup v2 at least, for the groups below the top; as before when it ends."""

    def __init__(self, top):
        self.switch = top / "cgroup.subtree_control"
        offered = (top / "cgroup.controllers").read_text().split()
        self.added = None if self.switch.read_text().strip() or not offered else offered[0]
        if self.added:
            self.switch.write_text(f"+{self.added}")

    def end(self):
        if self.added:
            self.switch.write_text(f"-{self.added}")


class Machine:
    def __init__(self, packages):
        # Not in /tmp, which may be in memory, and the machine has its own over it.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-machine-", dir="/var/tmp"))
        for name in ("root", "memory", "packages"):
            (self.place / name).mkdir()
        for package in packages:
            os.link(package, self.place / "packages" / package.name) if same_disk(package, self.place) else shutil.copy(
                package, self.place / "packages")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEMORY},mode=755", "tmpfs", self.place / "memory"], check=True)
        upper = self.place / "memory/upper"
        (self.place / "memory/work").mkdir()
        # What this machine starts is not started there.
        for name in ("etc/systemd/system", "etc/cron.d"):
            (upper / name).mkdir(parents=True)
            os.setxattr(upper / name, "trusted.overlay.opaque", b"y")
        (upper / "etc/machine-id").write_text("")
        (upper / "etc/hostname").write_text("machine\n")
        # A build of containers may forbid services to start; this is not one.
        (upper / "usr/sbin").mkdir(parents=True)
        os.mknod(upper / "usr/sbin/policy-rc.d", stat.S_IFCHR)
        # Unlike an overlay, a disk shows owners as another namespace has them; so does memory, from Linux 6.3 on.
        if kernel() >= (6, 3):
            (self.place / "memory/lib").mkdir()
            (self.place / "lib").symlink_to("memory/lib")
        else:
            (self.place / "lib").mkdir()
        subprocess.run(["cp", "-a", "/var/lib/dpkg", self.place / "lib/dpkg"], check=True)
        self.group = make_group()
        self.controllers = Controllers(self.group.parent)
        self.outer = self.first = None

    def boot(self):
        """Until systemd says that all is up."""
        # A new one: the last one may be divided, and take no process.
        self._remove_group()
        make_group()
        join = f"echo $$ >{self.group}/cgroup.procs && exec \"$@\""
        self.outer = subprocess.Popen(
            # Whoever kills the test kills the machine with it.
            ["setpriv", "--pdeathsig=KILL", "sh", "-c", join, "sh", "unshare", "--fork", "--kill-child", *NAMESPACES,
             HERE / "boot.sh", self.place],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        self.first = int(wait_for("the first process", lambda: self._is_there() and children.read_text()))
        # A group that is divided holds no process itself.
        (self.group.parent / "cgroup.procs").write_text(str(self.outer.pid))
        wait_for("systemd", lambda: self.state() in ("running", "degraded"), seconds=30)
        self.run("umount", "--lazy", "/proc/sys")
        self.run("systemctl", "start", "multi-user.target")

    def _is_there(self):
        if self.outer.poll() is not None:
            raise Deviation(f"the machine ended at its start: {self.outer.stderr.read()}")
        return True

    def state(self):
        return self._is_there() and self.try_run("systemctl", "is-system-running")[1]

    def _popen(self, arguments, environment):
        inside = ["nsenter", "--target", str(self.first), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **environment}
        return subprocess.run(inside + [str(one) for one in arguments], capture_output=True, text=True, timeout=60, cwd="/",
                              env=environment, stdin=subprocess.DEVNULL)

    def try_run(self, *arguments, **environment):
        """(exit code, output)"""
        done = self._popen(arguments, environment)
        return done.returncode, (done.stdout + done.stderr).strip()

    def run(self, *arguments, **environment):
        done = self._popen(arguments, environment)
        if done.returncode != 0:
            shown = " ".join(str(one) for one in arguments)
            raise Deviation(f"exit code {done.returncode} of: {shown}\n{(done.stdout + done.stderr).strip()}")
        return done.stdout.strip()

    def path(self, inside):
        """A path of its, as this machine sees it."""
        return pathlib.Path(f"/proc/{self.first}/root{inside}")

    def power_off(self):
        """As a person does it: everything is stopped in its order."""
        # The answer may be lost with the machine.
        self.try_run("systemctl", "--no-block", "poweroff")
        try:
            self.outer.wait(timeout=60)
        except subprocess.TimeoutExpired as error:
            raise Deviation("the machine does not go down") from error

    def remove(self):
        """Ends what is in it and leaves nothing of it."""
        if self.outer and self.outer.poll() is None:
            os.kill(self.first, signal.SIGKILL) if self.first else self.outer.kill()
            self.outer.wait()
        subprocess.run(["umount", self.place / "memory"], check=False)
        shutil.rmtree(self.place, ignore_errors=True)
        self._remove_group()
        self.controllers.end()

    def _remove_group(self):
        def gone():
            for directory, _, _ in os.walk(self.group, topdown=False):
                os.rmdir(directory)
            return True

        wait_for("the end of its cgroup", gone)


def kernel():
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


def same_disk(one, other):
    return one.stat().st_dev == other.stat().st_dev
