#!/usr/bin/env python3
"""A full disk: what cannot be stored is refused with what is full, reads go on, and all is well when space is back.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE. Needs root, to mount a small file system; otherwise it says that it was
skipped.
"""
import os
import pathlib
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from show import Deviation, Show  # noqa: E402
from stage import Stage, wait_for  # noqa: E402

SIZE = "16m"
# Room for the packages of every image here, twice: pip copies what it has unpacked.
LARGE = "48m"
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


def wheel(shelf, name, size):
    """A package of so many zeros, which are few bytes until it is installed."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.dat", bytes(size))
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def builds(show, stage):
    """A build that fills the disk fails with that as its reason; what it wrote is gone, and the next one works."""
    layers = stage.directory / "data/layers"

    def kept():
        return sorted(str(path.relative_to(layers)) for path in layers.rglob("*"))

    def wish(name, package):
        return {"name": name, "baseImageName": "python3-base", "runtimeDependencies": {"manifest": f"{package}\n"}}

    before = kept()
    image = stage.call("POST", "/v1/image?wait=60", wish("large", "huge"))[1]
    check(show, "the status of an image whose packages do not fit", image["status"], "ERROR")
    show.line(f"  {image['reason']}")
    check(show, "its reasons", len(image["reason"]), 1)
    check(show, "whether it says what is full", "No space left on device" in image["reason"][0], True)
    check(show, "what is left of the build", kept(), before)
    image = stage.call("POST", "/v1/image?wait=60", wish("small", "tiny"))[1]
    check(show, "the status of an image whose packages fit", (image["status"], image.get("reason")), ("READY", None))

    data = str(stage.directory / "data")
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", data], check=True)
    image = stage.call("PUT", "/v1/image/large?wait=60", wish("large", "huge"))[1]
    check(show, "the status when there is room for it", (image["status"], image.get("reason")), ("READY", None))


def story(show, stage, d):
    show.command(d, "create", "base-image", "python3-base", "host:python3", "--language", "python3", "--wait")
    show.command(d, "create", "image", "python3", "python3-base", "--wait")
    builds(show, stage)
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
    shelf = stage.directory / "wheels"
    shelf.mkdir(mode=0o755)
    wheel(shelf, "huge", 20 << 20)
    wheel(shelf, "tiny", 1 << 10)
    stage.environment.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shelf))
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
    unmounted = ["umount", "--quiet", str(data)]
    wait_for("the end of all who use the disk", lambda: subprocess.run(unmounted, check=False).returncode == 0)
    stage.stop()
    print(f"{passed} passed, {0 if failed is None else 1} failed")
    return 0 if failed is None else 1


if __name__ == "__main__":
    sys.exit(main())
