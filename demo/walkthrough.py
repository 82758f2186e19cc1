#!/usr/bin/env python3
"""The walkthrough: from nothing to a function with its own database, and new credentials under load.

Nothing is faked and nothing is slowed for show. Any deviation ends it with a non-zero exit code and says what was
expected. KEEP=1 leaves everything running.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from show import Deviation, Show  # noqa: E402
from stage import Stage, wait_for  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples/python3/postgres"
# Calls a second during the rotation. The tests' build is several times slower, and asks for fewer.
RATE = int(os.environ.get("DISPATCH_DEMO_RATE", "500"))


def secret_values(stage, name):
    """The values of a secret, for checks only: they are shown nowhere."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stage.server_port}/v1/secret/{name}",
        headers={"Cookie": stage.key, "X-Dispatch-Org": "dispatch"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["secrets"]


def table_first_rows(count):
    return lambda text: "\n".join(text.splitlines()[:count])


def output_of(text):
    run = json.loads(text)
    return json.dumps(run.get("output", run.get("error")), ensure_ascii=False)


def broker(show, stage, d):
    show.heading("An administrator registers a broker; its catalogue is there at once.")
    show.command(d, "create", "servicebroker", "pg", f"http://127.0.0.1:{stage.broker_port}",
                 "--token-file", stage.directory / "broker-token")
    show.command(d, "describe", "serviceclass", "postgresql")


def instance(show, stage, d):
    show.heading("A developer asks for a database server. The plan is asynchronous: these are the broker's own words.")
    wrong = show.command(d, "create", "serviceinstance", "azure-pg", "postgresql", "dedicated",
                         "--params", '{"storge": 2}', expect=1)
    show.expect("made by wrong parameters", stage.clusters(), [])
    show.expect("standard output of a refusal", wrong, "")
    show.command(d, "create", "serviceinstance", "azure-pg", "postgresql", "dedicated",
                 "--params", '{"storage": 2}', "--wait")
    # Which of its words are seen depends on when it is asked; some are.
    for words in ('azure-pg  provisioning  pg: "', "(broker "):
        show.expect(f"whether it says {words!r}", any(words in text for text in show.seen), True)
    found = json.loads(subprocess.run([d, "get", "serviceinstance", "azure-pg", "--json"], env=stage.environment,
                                      capture_output=True, text=True, check=True).stdout)
    show.expect("status", (found["status"], found["binding"]["status"]), ("READY", "READY"))
    show.expect("secret's name", found["binding"]["secret"], found["id"])
    # The secret is named by the instance's id; so is the database.
    show.command(d, "get", "secret", found["id"])
    login = secret_values(stage, found["id"])
    show.expect("the database", stage.sql_as(login, "SELECT current_database()"), (True, found["id"]))
    (cluster,) = stage.clusters()
    show.expect("its server's port", (cluster / "data/postmaster.pid").read_text().split()[3], login["port"])
    return found["id"]


def function(show, stage, d, service):
    """When the first row was there."""
    show.heading("A function that needs it. No password anywhere in examples/python3/postgres.")
    show.command(d, "create", "base-image", "python3-base", "host:python3", "--language", "python3", "--wait")
    show.command(d, "create", "image", "python3-pg", "python3-base", "--runtime-deps", "requirements.txt", "--wait",
                 cwd=EXAMPLE, timeout=600)
    show.command(d, "create", "function", "python3-pg", "pg-example", "postgres.py", "--service", "azure-pg",
                 "--schema-in", "postgres.schema.json", "--wait", cwd=EXAMPLE)
    rows, times = [], []
    for num, data in ((1, "hello everyone"), (2, "hello everyone again")):
        rows.append({"data": data, "num": num})
        began = time.monotonic()
        run = show.json(d, "exec", "pg-example", "--wait", "--input", json.dumps({"num": num, "data": data}),
                        brief=output_of)
        show.line(f"  {len(run['output'])} row{'s' if len(run['output']) > 1 else ''} in "
                  f"{(time.monotonic() - began) * 1000:.0f} ms, the command included")
        times.append(time.monotonic())
        show.expect("rows", run.get("output"), rows)
        show.expect("logs", run["logs"]["stdout"], [f"num: {row['num']}, data: {row['data']}" for row in rows])
    run = show.json(d, "exec", "pg-example", "--wait", "--input", '{"data": 7}', brief=output_of)
    show.expect("type of error", run.get("error", {}).get("type"), "InputError")
    rows = stage.sql_as(secret_values(stage, service), "SELECT count(*) FROM rows")
    show.expect("rows in the database", rows, (True, "2"))
    return times[0]


def over_https(show, stage, d):
    show.heading("The same function over HTTPS.")
    show.command(d, "create", "api", "post-pg-example", "pg-example", "--https-only", "--method", "POST",
                 "--path", "/postgres/demo", "--auth", "public")
    rows = show.json("curl", "-sk", f"https://127.0.0.1:{stage.https_port}/postgres/demo",
                     "-H", "Content-Type: application/json", "-d", '{"num": 3, "data": "hello from API"}')
    show.expect("rows", [row["num"] for row in rows], [1, 2, 3])
    plain = show.command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\\n",
                         f"http://127.0.0.1:{stage.http_port}/postgres/demo", "-d", "{}")
    show.expect("status over plain HTTP", plain.strip(), "426")


def confined(show, stage, d, service):
    show.heading("It can reach its database and nothing else.")
    show.command(d, "create", "function", "python3-pg", "probe", ROOT / "demo/probe.py", "--service", "azure-pg",
                 "--wait")
    port = secret_values(stage, service)["port"]
    database = f"127.0.0.1:{port}"
    # The shared PostgreSQL, control plane, broker, and somebody else on the database's port: all there, seen from here.
    others = [f"127.0.0.1:{stage.pg_port}", f"127.0.0.1:{stage.server_port}", f"127.0.0.1:{stage.broker_port}",
              f"127.0.0.2:{port}"]
    with socket.create_server(("127.0.0.2", int(port))):
        for host, near in (target.split(":") for target in others):
            socket.create_connection((host, int(near)), timeout=5).close()
        targets = [database, *others, "169.254.169.254:80"]
        run = show.json(d, "exec", "probe", "--wait", "--input", json.dumps({"targets": targets}), brief=output_of)
    show.expect("what it reached", run.get("output", {}).get("reached"), [database])


def rotation(show, stage, d, service):
    show.heading(f"New credentials while {RATE} calls a second are running.")
    # It connects as the example does, so it is packed together with it.
    source = stage.directory / "rows"
    source.mkdir()
    shutil.copy(ROOT / "demo/rows.py", source)
    shutil.copy(EXAMPLE / "postgres.py", source)
    show.command(d, "create", "function", "python3-pg", "rows", source, "--handler", "rows.handle",
                 "--service", "azure-pg", "--wait")
    rows = [{"num": num, "data": data} for num, data in
            ((1, "hello everyone"), (2, "hello everyone again"), (3, "hello from API"))]
    show.json(d, "exec", "rows", "--wait", brief=output_of)
    before = secret_values(stage, service)
    load = subprocess.Popen(
        [str(stage.load), "--server", f"http://127.0.0.1:{stage.server_port}", "--key-file", str(stage.key_file),
         "--function", "rows", "--expect", json.dumps(rows), "--rate", str(RATE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=stage.environment, text=True,
    )
    try:
        began = time.monotonic()
        time.sleep(1)
        show.command(d, "rotate", "servicebinding", "azure-pg", "--wait")
        time.sleep(0.5)
        due = RATE * (time.monotonic() - began)
        report = json.loads(load.communicate(timeout=60)[0])
    finally:
        if load.poll() is None:
            load.kill()
    show.line(f"  {report['calls']} calls meanwhile: {report['right']} right, {report['wrong']} wrong"
              f"   (p50 {report['p50_us'] / 1000:.1f} ms, p99 {report['p99_us'] / 1000:.1f} ms)")
    show.expect("wrong answers", report["samples"], [])
    show.expect("right answers", report["right"], report["calls"])
    show.expect(f"whether {RATE} calls a second were made", report["calls"] >= 0.9 * due, True)
    after = secret_values(stage, service)
    show.expect("whether the login is new", after["username"] != before["username"], True)
    show.expect("whether the old login is accepted", stage.sql_as(before, "SELECT 1")[0], False)
    sessions = stage.sql_as(after, f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{before['username']}'")
    show.expect("sessions of the old login", sessions, (True, "0"))
    show.line("  the old login is refused by PostgreSQL, and none of its sessions is open")
    return [before["password"], after["password"]]


def hidden(show, stage, passwords):
    """The passwords are in no output, no command line and no file of this directory."""
    for number, password in enumerate(passwords, 1):
        needle = password.encode()
        if any(password in text for text in show.seen):
            raise Deviation(f"password {number} was printed")
        for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if needle in process.read_bytes():
                    raise Deviation(f"password {number} is in {process}")
            except OSError:
                continue
        for file in stage.directory.rglob("*"):
            if file.is_file() and not file.is_symlink() and needle in file.read_bytes():
                raise Deviation(f"password {number} is in {file}")


def away(show, stage, d, service):
    show.heading("And away.")
    for noun, name in (("api", "post-pg-example"), ("function", "rows"), ("function", "probe"),
                       ("function", "pg-example"), ("serviceinstance", "azure-pg")):
        show.command(d, "delete", noun, name, "--wait", "--yes")
    show.expect("what the broker says of the instance", stage.ask_broker(f"/v2/service_instances/{service}"), 404)
    show.command(d, "delete", "servicebroker", "pg", "--wait")
    show.expect("servers left", (stage.clusters(), stage.of_clusters()), ([], {}))
    # Nothing was ever made on the shared server, which the broker could use as well.
    show.expect("databases there", stage.sql("SELECT count(*) FROM pg_database"), (True, "3"))
    roles = stage.sql("SELECT count(*) FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> 'dispatch_admin'")
    show.expect("roles there", roles, (True, "0"))
    show.expect("the secret", stage.call("GET", f"/v1/secret/{service}")[0], 404)
    wait_for("the end of the last worker", lambda: not workers_of(stage))
    show.line("  database, roles, cluster, secret, workers: gone (checked at the broker, in PostgreSQL, in /proc)")


def workers_of(stage):
    """Processes whose program is a worker of this stage's server."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"DISPATCH_FUNCTION" in status.read_bytes():
                found.append(status.parent.name)
        except OSError:
            continue
    return found


def main():
    binaries = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/demo").resolve()
    keep = os.environ.get("KEEP") == "1"
    began = time.monotonic()
    stage = Stage(binaries)
    show = Show(stage.environment, stage.directory,
                {stage.dispatch: "dispatch", stage.directory: "$STAGE", ROOT: "."})
    d = str(stage.dispatch)
    failed = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        stage.start_postgresql()
        stage.start_broker()
        stage.start_server()
        show.line(f"  start    PostgreSQL with TLS :{stage.pg_port} · broker :{stage.broker_port} · server "
                  f":{stage.server_port} · gateway https :{stage.https_port} ... {time.monotonic() - began:.1f} s")
        broker(show, stage, d)
        service = instance(show, stage, d)
        first_row = function(show, stage, d, service) - began
        over_https(show, stage, d)
        confined(show, stage, d, service)
        passwords = rotation(show, stage, d, service)
        hidden(show, stage, passwords)
        show.line("  and the passwords are in no command, output, process list or file here (searched for them)")
        if not keep:
            away(show, stage, d, service)
    except (KeyboardInterrupt, SystemExit):
        stage.stop()
        raise
    except Exception as error:  # whatever it is, it is a deviation, and nothing is left running
        failed = error
    seconds = time.monotonic() - began
    if failed is None:
        report(seconds=seconds, first_row=first_row)
        show.line()
        show.line(f"demo passed: {seconds:.0f} s after the build.   Next: KEEP=1 make demo · docs/tutorial.md · dispatch catalog")
    else:
        show.line()
        show.line(f"demo failed at {show.act}: {failed}")
        show.line(f"logs: {stage.directory}/*.log (alive: {', '.join(stage.alive()) or 'nothing'})")
    if keep and failed is None:
        say_how_to_go_on(show, stage)
        return 0
    stage.stop(keep=failed is not None)
    return 0 if failed is None else 1


def report(**seconds):
    target = os.environ.get("DISPATCH_DEMO_REPORT")
    if target:
        pathlib.Path(target).write_text(json.dumps(seconds))


def say_how_to_go_on(show, stage):
    show.line("it goes on running. In another terminal:")
    show.line(f"  export HOME={stage.home} PATH={stage.dispatch.parent}:$PATH")
    show.line("  dispatch get functions")
    ours = [str(process.pid) for _, process in reversed(stage.processes)]
    # The broker's servers outlive it.
    first = [str(pid) for pid, first in stage.of_clusters().items() if first]
    show.line(f"and to end it: kill {' '.join(ours)}; kill -QUIT {' '.join(first)}; sleep 2; rm -r {stage.directory}")


if __name__ == "__main__":
    sys.exit(main())
