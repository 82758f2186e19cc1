#!/usr/bin/env python3
"""Lives with a broker that somebody else has written: registration, both ways of provisioning, binding, the end.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE. The broker's library comes from PyPI into an environment of its own.
"""
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from show import Deviation, Show  # noqa: E402
from stage import Stage, answers, free_port, wait_for  # noqa: E402

passed = 0


def check(show, what, found, wanted):
    global passed
    show.expect(what, found, wanted)
    passed += 1


def start_broker(stage):
    environment = stage.directory / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run(
        [str(environment / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r",
         str(HERE / "requirements.txt")],
        check=True,
    )
    port = free_port()
    stage._spawn("broker", [environment / "bin/python", HERE / "broker.py", port, "writer", "ink"])
    wait_for("the broker", lambda: answers(port))
    return port


def books(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/books", timeout=5) as answer:
        return json.load(answer)


def story(show, stage, d, port):
    password = stage.directory / "password"
    password.write_text("wrong")
    show.command(d, "create", "servicebroker", "notes", f"http://127.0.0.1:{port}", "--username", "writer",
                 "--password-file", password, expect=1)
    show.command(d, "delete", "servicebroker", "notes", "--wait", "--yes")
    password.write_text("ink")
    show.command(d, "create", "servicebroker", "notes", f"http://127.0.0.1:{port}", "--username", "writer",
                 "--password-file", password)
    classes = show.json(d, "get", "serviceclass", "--json", show=False)
    check(show, "plans", [plan["name"] for plan in classes[0]["plans"]], ["quick", "slow"])

    for plan in ("quick", "slow"):
        show.command(d, "create", "serviceinstance", plan, "notebook", plan, "--wait")
        instance = show.json(d, "get", "serviceinstance", plan, "--json", show=False)
        check(show, "statuses", (instance["status"], instance["binding"]["status"]), ("READY", "READY"))
        check(show, "keys", instance["binding"]["keys"], ["notebook", "pages", "pencil"])
        check(show, "the instance's id at the broker", instance["id"] in books(port)["instances"], True)
    check(show, "bindings at the broker", len(books(port)["bindings"]), 2)

    show.command(d, "rotate", "servicebinding", "quick", "--wait")
    check(show, "bindings after a rotation", len(books(port)["bindings"]), 2)
    show.command(d, "delete", "serviceinstance", "quick", "--wait", "--yes")
    show.command(d, "delete", "servicebroker", "notes", expect=1)
    show.command(d, "delete", "servicebroker", "notes", "--cascade", "--wait", "--yes")
    check(show, "what is left at the broker", books(port), {"instances": [], "bindings": []})
    check(show, "secrets left", show.json(d, "get", "secret", "--all", "--json", show=False), [])


def main():
    stage = Stage(pathlib.Path(sys.argv[1]).resolve())
    show = Show(stage.environment, stage.directory, {stage.dispatch: "dispatch", stage.directory: "$STAGE"})
    failed = None
    try:
        port = start_broker(stage)
        stage.start_server()
        story(show, stage, str(stage.dispatch), port)
    except (Deviation, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
        failed = error
        show.line(f"failed: {error}")
        for name in ("broker", "server"):
            log = stage.directory / f"{name}.log"
            if log.exists():
                show.line(f"-- {name}: {log.read_text()[-2000:]}")
    stage.stop()
    print(f"{passed} passed, {0 if failed is None else 1} failed")
    return 0 if failed is None else 1


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
