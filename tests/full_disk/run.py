#!/usr/bin/env python3
"""A full disk: what cannot be stored is refused with what is full, reads go on, and all is well when space is back.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE. Needs root, to mount a small file system; otherwise it says that it was
skipped.
"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from show import Deviation, Show  # noqa: E402
from stage import Stage  # noqa: E402

SIZE = "16m"
passed = 0


def check(show, what, found, wanted):
    global passed
    show.expect(what, found, wanted)
    passed += 1


def secret(number, size=500_000):
    return {"name": f"s{number}", "secrets": {"value": "x" * size}}


def fill(stage, first, size):
    """Stores secrets until one is refused; how many there are then, and the refusal."""
    for number in range(first, first + 3_000):
        status, body = stage.call("POST", "/v1/secret", secret(number, size))
        if status != 201:
            return number, status, body
    raise Deviation(f"3000 secrets of {size} bytes fit on {SIZE}")


def story(show, stage, d):
    show.command(d, "create", "base-image", "python3-base", "host:python3", "--language", "python3", "--wait")
    show.command(d, "create", "image", "python3", "python3-base", "--wait")
    source = stage.directory / "hello.py"
    source.write_text("def handle(ctx, payload):\n    return 'hello'\n")
    show.command(d, "create", "function", "python3", "hello", source, "--wait")

    made, status, body = fill(stage, 0, 500_000)
    show.line(f"  {made} secrets of half a megabyte were stored, then: {body['message']}")
    check(show, "the status of a write that finds no room", status, 507)
    check(show, "whether it says what is full", "no space left" in body["message"], True)
    check(show, "the status of one more", stage.call("POST", "/v1/secret", secret(made))[0], 507)
    # What is small still finds room; then that does not either.
    fill(stage, *(fill(stage, made, 20_000)[0], 100))
    source = stage.directory / "other.py"
    source.write_text("def handle(ctx, payload):\n    return 'other'\n# " + os.urandom(200_000).hex())
    refused = subprocess.run([d, "create", "function", "python3", "other", str(source)], env=stage.environment,
                             capture_output=True, text=True)
    check(show, "exit code of a function that finds no room", refused.returncode, 1)
    run = {"blocking": False, "input": {}}
    check(show, "status of a run that must be durable", stage.call("POST", "/v1/runs?functionName=hello", run)[0], 507)

    check(show, "status of a read", stage.call("GET", "/v1/secret/s0")[0], 200)
    status, body = stage.call("POST", "/v1/runs?functionName=hello", {"blocking": True, "input": {}})
    check(show, "a call of what is there", (status, body.get("output")), (200, "hello"))

    for number in range(made // 2):
        check(show, "status of a removal", stage.call("DELETE", f"/v1/secret/s{number}")[0], 204)
    check(show, "status when there is room again", stage.call("POST", "/v1/secret", secret(1_000))[0], 201)
    show.command(d, "create", "function", "python3", "later", stage.directory / "hello.py", "--wait")


def main():
    if os.geteuid() != 0:
        print("skipped: mounting a small file system needs root")
        return 0 if os.environ.get("CI") != "true" else 1
    stage = Stage(pathlib.Path(sys.argv[1]).resolve())
    show = Show(stage.environment, stage.directory, {stage.dispatch: "dispatch", stage.directory: "$STAGE"})
    data = stage.directory / "data"
    data.mkdir()
    failed = None
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0711", "tmpfs", str(data)], check=True)
    try:
        stage.start_server()
        story(show, stage, str(stage.dispatch))
    except (Deviation, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
        failed = error
        show.line(f"failed: {error}")
        log = stage.directory / "server.log"
        show.line(log.read_text()[-3000:] if log.exists() else "")
    stage.stop(keep=True)
    subprocess.run(["umount", str(data)], check=False)
    stage.stop()
    print(f"{passed} passed, {0 if failed is None else 1} failed")
    return 0 if failed is None else 1


if __name__ == "__main__":
    sys.exit(main())
