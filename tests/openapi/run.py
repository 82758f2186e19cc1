#!/usr/bin/env python3
"""Holds the server to its own OpenAPI document: it is the golden file beside this, a validator of somebody else reads
it, and schemathesis asks all that it allows, and what it does not, for a bounded time. No answer may be a server error,
or other than the document says.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE; UPDATE=1 writes the golden file anew. What is asked for may name any host,
so that server and questions are in a network namespace of their own, where there is nothing but a loopback.
"""
import fcntl
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from show import Deviation, Show  # noqa: E402
from stage import Stage  # noqa: E402

INSIDE = "--inside"
SECONDS = 40
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def outside(binaries):
    """The tools come from PyPI; everything else happens where nothing can be reached."""
    tools = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-openapi-"))
    try:
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        subprocess.run(
            [str(tools / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r",
             str(HERE / "requirements.txt")],
            check=True,
        )
        namespace = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
        return subprocess.run([*namespace, sys.executable, __file__, INSIDE, str(tools), binaries]).returncode
    finally:
        shutil.rmtree(tools)


def loopback_up():
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def compare(show, document):
    golden = HERE / "openapi.json"
    found = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE"):
        golden.write_text(found)
    show.expect("the document (UPDATE=1 writes the golden file)", found == golden.read_text(), True)


def inside(tools, binaries):
    loopback_up()
    stage = Stage(pathlib.Path(binaries).resolve())
    show = Show(stage.environment, stage.directory, {stage.directory: "$STAGE"})
    try:
        stage.start_server()
        url = f"http://127.0.0.1:{stage.server_port}"
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:
            document = json.load(answer)
        compare(show, document)
        file = stage.directory / "openapi.json"
        file.write_text(json.dumps(document))
        subprocess.run([str(tools / "bin/openapi-spec-validator"), str(file)], check=True)
        tried = subprocess.run(
            [str(tools / "bin/schemathesis"), "run", str(file), "--url", url, "--checks", CHECKS,
             "--phases", "coverage,fuzzing", "--max-time", str(SECONDS), "--generation-database", "none",
             "--request-timeout", "35", "--warnings", "off", "--no-color",
             "-H", f"Cookie: {stage.key}", "-H", "X-Dispatch-Org: dispatch"],
            cwd=stage.directory, env=stage.environment,
        )
        show.expect("what schemathesis found", tried.returncode, 0)
    except (Deviation, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
        show.line(f"failed: {error}")
        log = stage.directory / "server.log"
        if log.exists():
            show.line(f"-- server: {log.read_text()[-3000:]}")
        return 1
    finally:
        stage.stop()
    return 0


def main():
    if sys.argv[1] == INSIDE:
        return inside(pathlib.Path(sys.argv[2]), sys.argv[3])
    return outside(sys.argv[1])


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
