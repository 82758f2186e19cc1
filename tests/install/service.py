"""The Debian package on a machine: from its installation until nothing is left of it."""
import json
import re
import resource

from show import Deviation
from stage import wait_for

SPEAKER = '''
import socket


def handle(ctx, payload):
    """Whether PostgreSQL answers at the service's address: S for yes, with TLS."""
    db = ctx["services"]["db"]
    with socket.create_connection((db["host"], int(db["port"])), timeout=10) as connection:
        connection.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
        return connection.recv(1).decode()
'''
# What the unit promises, by the names of /proc/PID/status and as numbers of linux/capability.h.
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "NET_BIND_SERVICE": 10,
                "NET_ADMIN": 12, "SYS_ADMIN": 21, "SETFCAP": 31}


def story(show, machine, deb, newer):
    installed(show, machine, deb)
    used(show, machine)
    confined(show, machine)
    went_on(show, machine)
    upgraded(show, machine, newer)
    switched_off_and_on(show, machine)
    removed(show, machine, newer)


def installed(show, machine, deb):
    show.heading("Installed: it runs")
    machine.run("dpkg", "--install", f"/run/{deb}")
    show.expect("the service", machine.run("systemctl", "is-active", "dispatch"), "active")
    show.expect("whether it comes back after a boot", machine.run("systemctl", "is-enabled", "dispatch"), "enabled")
    for name in ("dispatch.service", "dispatch-databases.service"):
        show.expect(f"what systemd-analyze says of {name}", machine.try_run("systemd-analyze", "verify", name), (0, ""))
    modes = {
        "/etc/dispatch/server.toml": "640 root:dispatch", "/etc/dispatch/keys": "700 dispatch:dispatch",
        "/etc/dispatch/admin.json": "600 root:root", "/var/lib/dispatch": "700 dispatch:dispatch",
    }
    for path, wanted in modes.items():
        show.expect(f"mode of {path}", machine.run("stat", "--format=%a %U:%G", path), wanted)
    user = machine.run("getent", "passwd", "dispatch").split(":")
    show.expect("home and shell of the user", user[5:], ["/var/lib/dispatch", "/usr/sbin/nologin"])
    show.expect("whether it is a system's user", int(user[2]) < 1000, True)
    for path in ("man/man1/dispatch.1.gz", "bash-completion/completions/dispatch", "doc/dispatch/copyright"):
        machine.run("test", "-s", f"/usr/share/{path}")
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "dispatch.service").splitlines()[-1]
    show.line(f"  {exposure.strip()}")


def used(show, machine):
    show.heading("Used: a function with a database of its own")
    machine.run("install", "-D", "-m", "600", "/etc/dispatch/admin.json", "/root/.dispatch/config.json")
    machine.path("/root/speaker.py").write_text(SPEAKER)
    for command in (
        "create base-image python3-base host:python3 --language python3", "create image python3 python3-base",
        "create servicebroker pg --builtin postgresql --param managed=true",
        "create serviceinstance db postgresql dedicated --wait",
        "create function python3 speaker /root/speaker.py --service db --wait",
    ):
        machine.run("dispatch", *command.split())
    speaks(show, machine)


def speaks(show, machine):
    found = machine.run("dispatch", "exec", "speaker", "--wait")
    show.expect("what the function hears from PostgreSQL", json.loads(found).get("output"), "S")


def pid(machine):
    return int(machine.run("systemctl", "show", "--property=MainPID", "--value", "dispatch"))


def postmasters(machine):
    """{port: process} of the PostgreSQL servers that run."""
    found = machine.try_run("sh", "-c", "cat /var/lib/dispatch/brokers/*/clusters/*/data/postmaster.pid")[1].splitlines()
    # Eight lines each: the first is the process, the fourth the port.
    return {port: process for process, port in zip(found[0::8], found[3::8])}


def confined(show, machine):
    show.heading("Confined as the unit says")
    server = pid(machine)
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{server}/status").splitlines())
    user = machine.run("id", "--user", "dispatch")
    show.expect("who the server is", set(status["Uid"].split()), {user})
    show.expect("its rights", (status["CapEff"], status["CapPrm"]), ("0" * 16, "0" * 16))
    wanted = sum(1 << number for number in CAPABILITIES.values())
    show.expect("the rights it could get", int(status["CapBnd"], 16), wanted)
    show.expect("new rights by programs, and a filter of system calls", (status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
    limits = machine.run("cat", f"/proc/{server}/limits")
    # No more than this machine has, which may be a container itself.
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    show.expect("limit of open files", re.search(r"Max open files +(\d+) +(\d+)", limits).group(2), str(files))

    def may(*command):
        inside = ["nsenter", "--target", str(server), "--mount", "--", "sh", "-c", " ".join(command)]
        return machine.try_run(*inside)[0] == 0

    machine.path("/dev/disk").touch()
    answers = {
        "touch /usr/x": False, "touch /etc/x": False, "touch /var/x": False, "touch /etc/dispatch/x": True,
        "touch /var/lib/dispatch/x": True, "test -e /root/speaker.py": False, "test -e /dev/tty": True,
        "test -e /dev/disk": False, "setpriv --reuid=dispatch --regid=dispatch --clear-groups test -e /proc/self": True,
        "setpriv --reuid=dispatch --regid=dispatch --clear-groups test -e /proc/1": False,
    }
    for command, wanted in answers.items():
        show.expect(f"whether it may {command}", may(command), wanted)
    machine.run("rm", "/etc/dispatch/x", "/var/lib/dispatch/x")


def went_on(show, machine):
    show.heading("Reloaded, restarted, killed: the databases run on")
    before = postmasters(machine)
    show.expect("PostgreSQL servers", len(before), 2)
    machine.run("systemctl", "reload", "dispatch")
    said(machine, "reloaded the settings")
    divide(machine)
    server = pid(machine)
    machine.run("systemctl", "restart", "dispatch")
    show.expect("whether it is another process", pid(machine) != server, True)
    speaks(show, machine)
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "dispatch")
    wait_for("the end of the killed one", lambda: machine.try_run("systemctl", "is-active", "dispatch")[1] != "active")
    wait_for("another one", lambda: machine.try_run("systemctl", "is-active", "dispatch")[1] == "active", seconds=20)
    speaks(show, machine)
    show.expect("the PostgreSQL servers", postmasters(machine), before)


def divide(machine):
    """Divides the service's cgroup as the server does where memory, cpu and pids are of cgroup v2, which they may not be
    here: processes into a leaf, and any controller that there is for those below.
    """
    script = """
        cd /sys/fs/cgroup
        free=$(cut -d' ' -f1 cgroup.controllers)
        cd system.slice/dispatch.service
        [ -z "$(cat cgroup.subtree_control)" ] || exit 0
        mkdir -p dispatch-server
        for process in $(cat cgroup.procs); do echo $process >dispatch-server/cgroup.procs; done
        echo +$free >/sys/fs/cgroup/cgroup.subtree_control
        echo +$free >/sys/fs/cgroup/system.slice/cgroup.subtree_control
        echo +$free >cgroup.subtree_control
    """
    if machine.run("cat", "/sys/fs/cgroup/cgroup.controllers"):
        machine.run("sh", "-ec", script)


def said(machine, text):
    def look():
        return text in machine.run("journalctl", "--unit=dispatch", "--no-pager", "--output=cat")

    wait_for(f"{text!r} in the journal", look)


def upgraded(show, machine, newer):
    show.heading("Upgraded: the new one runs, and the administrator's settings stay")
    settings = machine.path("/etc/dispatch/server.toml")
    text = settings.read_text().replace('#log = "info"', 'log = "debug"')
    settings.write_text(text)
    server, before = pid(machine), postmasters(machine)
    machine.run("dpkg", "--install", f"/run/{newer}")
    show.expect("whether it is another process", pid(machine) != server, True)
    show.expect("the settings", settings.read_text(), text)
    show.expect("their mode", machine.run("stat", "--format=%a %U:%G", "/etc/dispatch/server.toml"), "640 root:dispatch")
    show.expect("the PostgreSQL servers", postmasters(machine), before)
    speaks(show, machine)
    # Once more, as after a power cut in the middle of it: nothing is done twice.
    machine.run("dpkg", "--install", f"/run/{newer}")
    speaks(show, machine)


def switched_off_and_on(show, machine):
    show.heading("Switched off and on: nothing was torn")
    machine.power_off()
    logs = [path.read_text().rstrip() for path in machine.place.glob("lib/dispatch/brokers/*/clusters/*/log")]
    # Fast is how dispatch-databases.service asks; what the end of a machine sends to what is left is a smart one.
    asked = "received fast shutdown request"
    ended = [asked in log and log.endswith("database system is shut down") for log in logs]
    show.expect("PostgreSQL servers that were stopped in order", ended, [True, True])
    machine.boot()
    lines = machine.run("journalctl", "--no-pager", "--output=cat", "_PID=1").splitlines()
    order = [line.split()[:2] for line in lines if line.startswith(("Stopped dispatch.", "Stopping dispatch-databases."))]
    show.expect("what stopped last", order[-2:], [["Stopped", "dispatch.service"], ["Stopping", "dispatch-databases.service"]])
    show.expect("the service", machine.run("systemctl", "is-active", "dispatch"), "active")
    wait_for("both PostgreSQL servers", lambda: len(postmasters(machine)) == 2)
    wait_for("the function's answer", lambda: machine.try_run("dispatch", "exec", "speaker", "--wait")[0] == 0)
    speaks(show, machine)


def removed(show, machine, newer):
    show.heading("Removed and purged: what is left, and what is not")
    files = machine.run("sh", "-c", "dpkg --listfiles dispatch | grep '^/usr' | xargs -d '\\n' stat -c '%F:%n'").splitlines()
    files = [line.split(":", 1)[1] for line in files if line.startswith("regular")]
    show.expect("whether it had files", len(files) > 80, True)
    machine.run("dpkg", "--remove", "dispatch")
    show.expect("the user's processes", processes(machine), "")
    show.expect("files of it in /usr", [path for path in files if machine.path(path).exists()], [])
    show.expect("settings, keys and data", machine.try_run("ls", "/etc/dispatch/server.toml", "/etc/dispatch/keys/kek-1",
                "/var/lib/dispatch/dispatch.db")[0], 0)
    out = machine.run("dpkg", "--purge", "dispatch")
    show.expect("whether it says that databases are kept", "rm -r /var/lib/dispatch /etc/dispatch" in out, True)
    left = machine.run("find", "/etc/dispatch", "-type", "f").splitlines()
    show.expect("files in /etc/dispatch", left, ["/etc/dispatch/keys/kek-1"])
    # Back again, with all that was there.
    machine.run("dpkg", "--install", f"/run/{newer}")
    wait_for("the function's answer", lambda: machine.try_run("dispatch", "exec", "speaker", "--wait")[0] == 0)
    # Without databases, everything goes.
    machine.run("dispatch", "delete", "function", "speaker", "--wait")
    machine.run("dispatch", "delete", "serviceinstance", "db", "--wait")
    machine.run("dispatch", "delete", "servicebroker", "pg", "--wait")
    machine.run("dpkg", "--purge", "dispatch")
    for path in ("/etc/dispatch", "/var/lib/dispatch", "/etc/systemd/system/multi-user.target.wants/dispatch.service"):
        if machine.path(path).exists():
            raise Deviation(f"{path} is left: {machine.run('find', path)}")
    show.expect("the user's processes", processes(machine), "")


def processes(machine):
    """Of the user. Without pgrep, which not every machine has."""
    owners = machine.run("sh", "-c", "stat -c '%U %n' /proc/[0-9]* 2>/dev/null; true").splitlines()
    return " ".join(line.split()[1] for line in owners if line.startswith("dispatch "))
