#!/usr/bin/env python3
"""What `make dist` packs, tried as its users would: the tarball in an empty home, and the Debian package on a machine of
its own where systemd is the first process: installed, used, reloaded, restarted, killed, upgraded, switched off and on,
removed, purged.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE. The machine needs root and namespaces; otherwise it says that it was skipped.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "demo")]

import packages  # noqa: E402
import service  # noqa: E402
from machine import Machine, why_not  # noqa: E402
from show import Deviation, Show  # noqa: E402


def main():
    began = time.monotonic()
    place = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-install-", dir="/var/tmp"))
    show = Show(dict(os.environ), place, {place: "$PLACE"})
    failed, skipped = None, why_not()
    try:
        dist = packages.packed(show, pathlib.Path(sys.argv[1]).resolve() / "dispatch", place)
        packages.tarball(show, dist, place)
        packages.debian(show, dist, place)
        if skipped:
            show.line(f"skipped, the machine with systemd: {skipped}")
        else:
            on_a_machine(show, dist, place)
    except (Deviation, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
        failed = error
        show.line(f"failed: {error}")
    shutil.rmtree(place, ignore_errors=True)
    show.line(f"{'1 failed' if failed else 'all as it should be'}, {time.monotonic() - began:.0f} s")
    return 1 if failed or (skipped and os.environ.get("CI") == "true") else 0


def on_a_machine(show, dist, place):
    deb = next(dist.glob("*.deb"))
    machine = Machine([deb, packages.newer(deb, place)])
    try:
        machine.boot()
        service.story(show, machine, deb.name, packages.NEWER)
    except (Deviation, subprocess.SubprocessError):
        if machine.outer.poll() is None:
            show.line(machine.try_run("journalctl", "--no-pager", "--lines=40", "--unit=dispatch*", "--unit=init.scope")[1])
        raise
    finally:
        machine.remove()


if __name__ == "__main__":
    sys.exit(main())
