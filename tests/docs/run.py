#!/usr/bin/env python3
"""Types every command of README.md and docs/ into a shell, in the order of each page, and compares what it prints.

Each page has a server of its own, an empty HOME and a real PostgreSQL; README is typed as an ordinary user, too. The
pages show the usual ports: here they are free ones. What differs each time is redacted (redact.py).

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE [PAGE…]; UPDATE=1 writes what is printed into the pages. The directory may be an
unpacked tarball: then its examples are used, and of its pages those that are named.
"""
import os
import pathlib
import pwd
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "demo")]

import document  # noqa: E402
import redact  # noqa: E402
from shell import Shell  # noqa: E402
from show import Deviation  # noqa: E402

# What only a machine of one's own can do, with the reason. Nothing else is left out, and each has to be in a page.
NOT_TYPED = {
    "make demo": "is a step of its own of make test",
    "make test": "is this",
    "make dist": "takes minutes, and is tested by tests/install",
    "tar -xzf dispatch-*-linux.tar.gz && cd dispatch-*-linux/": "is what tests/install does before it types README",
    "apt install ./dispatch_*.deb postgresql": "changes the machine; tests/install does it in one of its own",
    "install -D -m 600 /etc/dispatch/admin.json ~/.dispatch/config.json": "belongs to that package",
    "systemctl status dispatch": "needs systemd; tests/install has a machine with it",
    "systemctl reload dispatch": "needs systemd; tests/install has a machine with it",
    "journalctl --unit=dispatch": "needs systemd; tests/install has a machine with it",
    "useradd --system dispatch": "changes the machine",
}
UPDATE = bool(os.environ.get("UPDATE"))


def pages(place, wanted):
    found = [place / "README.md", *sorted((place / "docs").glob("*.md"))]
    return [page for page in found if not wanted or str(page.relative_to(place)) in wanted]


def typed(shell, page, name, names):
    """All steps of a page. (how many were typed, what is different)."""
    text = page.read_text()
    ids, changes, faults, count = redact.Ids(), [], [], 0
    lost = [link for link in document.links(text) if not (page.parent / link).exists()]
    faults += [f"! {name}: a link to what is not there: {link}" for link in lost]
    for step in document.steps(name, text):
        if step.path:
            shell.write(step.path, step.text)
        elif step.as_root or bare(step.command) in NOT_TYPED:
            if bare(step.command) not in NOT_TYPED:
                faults.append(f"! {step.place}: nobody types this, and NOT_TYPED does not say why: {step.command}")
            names.add(bare(step.command))
        else:
            count += 1
            faults += one(shell, step, ids, changes)
    if UPDATE and changes:
        page.write_text(document.rewritten(text, changes))
        print(f"rewritten: {len(changes)} outputs of {name}")
        faults = [fault for fault in faults if fault.startswith("!")]
    return count, faults


def bare(command):
    """Without a comment at its end."""
    return command.split("  #")[0].strip()


def one(shell, step, ids, changes):
    command = ids.typed(step.command)
    if step.is_interrupted:
        most = 1_000 if UPDATE else len(step.output) - 1
        output, code = shell.interrupt(command, lambda output: len(redact.lines(output)) >= most)
        output += f"\n{document.INTERRUPT}"
    else:
        output, code = shell.type(command)
    if code == shell.NOT_ENDED:
        raise Deviation(f"{step.place}: does not end: {command}\n{output}")
    faults, printed = [], redact.lines(output)
    if (code != 0) != ("# exit code" in command) and not step.is_interrupted:
        faults.append(f"! {step.place}: exit code {code} of: {command}\n{indented(printed)}")
    if not ids.fit(step.output, printed):
        changes.append((step, ids.as_page(step.output, printed)))
        faults.append(f"{step.place}: {step.command}\n  the page says:\n{indented(step.output)}"
                      f"\n  it prints:\n{indented(printed)}")
    return faults


def indented(lines):
    return "\n".join(f"    {line}" for line in lines)


def play(place, page, binaries, user, names):
    name = str(page.relative_to(place))
    shell = Shell(binaries, user, place / "examples")
    began = time.monotonic()
    try:
        count, faults = typed(shell, page, name, names)
    except (Deviation, document.Unreadable) as error:
        count, faults = 0, [str(error)]
    finally:
        left = shell.stop()
    faults += [f"{name}: left over after its end: {what}" for what in left]
    who = f" as {user.pw_name}" if user else ""
    print(f"  {name}{who}: {count} commands, {len(faults)} faults, {time.monotonic() - began:.1f} s",
          flush=True)
    if faults:
        print(f"-- server: {shell.log()[-2000:]}")
    return faults


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    wanted = sys.argv[2:]
    names, faults = set(), []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # What was started in the background ignores Ctrl-C, and so would the commands that it is to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = binaries if (binaries / "README.md").exists() else ROOT
    for page in pages(place, wanted):
        faults += play(place, page, binaries, None, names)
    if not wanted or "README.md" in wanted:
        if os.geteuid() == 0:
            faults += play(place, place / "README.md", binaries, pwd.getpwnam("nobody"), names)
        else:
            print("  skipped: README.md as another user; only root can become one")
    if not wanted:
        faults += [f"NOT_TYPED has what no page has: {command}" for command in sorted(NOT_TYPED.keys() - names)]
        print(f"  {len(names)} commands are for a machine of one's own: {', '.join(sorted(names))}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
