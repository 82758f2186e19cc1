#!/usr/bin/env python3
"""Power cuts: the server is killed without a word, again and again, and now and then the broker as well, while people
go on asking. Nothing that was promised may be lost, and nothing may be left over in PostgreSQL.

Usage: run.py DIRECTORY-WITH-THE-EXECUTABLE [SECONDS [SEED]]
"""
import pathlib
import random
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "demo")]

from people import Caller, Developer, Keeper, see_gone  # noqa: E402
from show import Deviation, Show  # noqa: E402
from stage import Stage  # noqa: E402

SECONDS = 20
OURS = "('postgres', 'template0', 'template1')"


def cut(stage, seconds, luck):
    """Kills and starts again; how often each."""
    cuts = {"server": 0, "broker": 0}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(luck.uniform(0.05, 1.2))
        stage.kill("server")
        cuts["server"] += 1
        if cuts["server"] == 1 or luck.random() < 0.2:
            stage.kill("broker")
            cuts["broker"] += 1
            stage.start_broker()
        stage.start_server()
    return cuts


def story(show, stage, d, seconds, seed):
    show.command(d, "create", "servicebroker", "pg", f"http://127.0.0.1:{stage.broker_port}",
                 "--token-file", stage.directory / "broker-token")
    show.command(d, "create", "base-image", "python3-base", "host:python3", "--language", "python3", "--wait")
    show.command(d, "create", "image", "python3", "python3-base", "--wait")
    source = stage.directory / "double.py"
    source.write_text("def handle(ctx, payload):\n    return payload['number'] * 2\n")
    show.command(d, "create", "function", "python3", "double", source, "--wait")

    people = [kind(stage, f"{kind.__name__.lower()}{n}", random.Random(f"{seed}-{n}"))
              for n, kind in enumerate([Developer, Developer, Developer, Keeper, Caller])]
    for person in people:
        person.start()
    try:
        cuts = cut(stage, seconds, random.Random(seed))
    finally:
        for person in people:
            person.leave()
        for person in people:
            person.join()
    asked = sum(sum(person.answers.values()) for person in people)
    broken = sum(person.answers.get(0, 0) for person in people)
    show.line(f"  {cuts['server']} cuts of the server, {cuts['broker']} of the broker; "
              f"{asked} requests, {broken} of them broken off")
    show.expect("whether there was a cut of each kind", min(cuts.values()) > 0, True)
    for person in people:
        show.line(f"  {person.name}: {person.settle()} promises kept")

    for instance in stage.call("GET", "/v1/serviceinstance")[1]:
        show.expect("status of a deletion", stage.call("DELETE", f"/v1/serviceinstance/{instance['name']}")[0], 200)
    for noun in ["serviceinstance", "servicebinding", "orphan"]:
        see_gone(stage, f"every {noun}", f"/v1/{noun}", (200, []))
    show.expect("databases left", stage.sql(f"select count(*) from pg_database where datname not in {OURS}"), (True, "0"))
    roles = "select count(*) from pg_roles where rolname not like 'pg\\_%' and rolname <> 'dispatch_admin'"
    show.expect("roles left", stage.sql(roles), (True, "0"))
    kept = {secret["name"] for secret in stage.call("GET", "/v1/secret")[1]}
    own = {name for person in people for name in person.secrets()}
    show.expect("secrets left", kept - own, {"broker-pg"})


def main():
    stage = Stage(pathlib.Path(sys.argv[1]).resolve())
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    seed = sys.argv[3] if len(sys.argv) > 3 else str(random.randrange(1_000_000))
    show = Show(stage.environment, stage.directory, {stage.dispatch: "dispatch", stage.directory: "$STAGE"})
    show.line(f"seed {seed}")
    failed = None
    try:
        stage.start_postgresql()
        stage.start_broker()
        stage.start_server()
        story(show, stage, str(stage.dispatch), seconds, seed)
    except (Deviation, OSError, KeyError, ValueError) as error:
        failed = error
        show.line(f"failed with seed {seed}: {error}")
        log = stage.directory / "server.log"
        show.line(log.read_text()[-5000:] if log.exists() else "")
    stage.stop()
    print("nothing was lost, nothing is left over" if failed is None else "1 failed")
    return 0 if failed is None else 1


if __name__ == "__main__":
    sys.exit(main())
