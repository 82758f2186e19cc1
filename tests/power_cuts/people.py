"""People who use the server while it is cut off, and remember what it promised them.

A promise is an answer that came: what it says must be true ever after. A request that was broken off may have been
heard or not; after it nothing is known of that object until the next answer.
"""
import collections
import threading
import time

from show import Deviation
from stage import wait_for


# A broker that was cut off may still make something for a minute, and "not found" is no proof for so long.
PATIENCE_SECONDS = 120


def see_gone(stage, what, path, wanted):
    """Waits for one of these answers: `(status,)` or `(status, body)`."""
    try:
        wait_for(f"the end of {what}", lambda: stage.call("GET", path)[:len(wanted)] == wanted, PATIENCE_SECONDS)
    except Deviation as error:
        raise Deviation(f"{error}; it is {stage.call('GET', path)}") from error


class Person(threading.Thread):
    """Asks for one thing after the other, until it leaves."""

    def __init__(self, stage, name, luck):
        super().__init__(name=name, daemon=True)
        self.stage = stage
        self.luck = luck
        self.answers = collections.Counter()
        self.wrong = None
        self.leaving = threading.Event()

    def run(self):
        try:
            while not self.leaving.is_set():
                self.ask()
                time.sleep(self.luck.uniform(0, 0.03))
            self.ask_last()
        except Exception as error:  # noqa: BLE001 - whatever ends a person, the test must not pass
            self.wrong = error

    def leave(self):
        """To be called when the last cut is over."""
        self.leaving.set()

    def call(self, method, path, body=None):
        status, answer = self.stage.call(method, path, body)
        self.answers[status] += 1
        if status >= 500 or status in (401, 403):
            raise Deviation(f"{self.name}: {method} {path}: {status} {answer}")
        return status, answer

    def expect(self, what, found, wanted):
        if found != wanted:
            raise Deviation(f"{self.name}: {what} is {found}, and {wanted} was promised")

    def settle(self):
        """When all is calm again: every promise is looked at. How many there were, one at least."""
        self.join()
        if self.wrong:
            raise Deviation(f"{self.name}: {self.wrong!r}") from self.wrong
        looked_at = self.look()
        if looked_at == 0:
            raise Deviation(f"{self.name} was promised nothing")
        return looked_at

    def secrets(self):
        """Names of the secrets that it keeps."""
        return []


class Developer(Person):
    """Makes instances and bindings, rotates them, and deletes them."""

    def __init__(self, stage, name, luck):
        super().__init__(stage, name, luck)
        # What is known of each name: {name: id that must be there, or None if nothing may be}.
        self.known = {}

    def ask(self):
        name = f"{self.name}-{self.luck.randrange(3)}"
        wait = f"?wait={self.luck.choice([0, 0, 2])}"
        choice = self.luck.choice(["create", "create", "delete", "rotate", "bind", "unbind"])
        if choice == "create":
            self.create(name, wait)
        elif choice == "delete":
            self.delete(name, wait)
        elif choice == "rotate":
            self.call("POST", f"/v1/servicebinding/{name}/rotate{wait}", {})
        elif choice == "bind":
            self.call("POST", f"/v1/servicebinding{wait}", {"name": f"{name}-more", "instance": name})
        else:
            self.call("DELETE", f"/v1/servicebinding/{name}-more{wait}")

    def create(self, name, wait):
        wanted = {"name": name, "serviceClass": "postgresql", "servicePlan": "shared-small"}
        status, answer = self.call("POST", f"/v1/serviceinstance{wait}", wanted)
        if status == 201:
            if self.known.get(name):
                raise Deviation(f"{self.name}: {name} was made twice: {self.known[name]} and {answer['id']}")
            self.known[name] = answer["id"]
        elif status == 0:
            self.known.pop(name, None)

    def delete(self, name, wait):
        status, _ = self.call("DELETE", f"/v1/serviceinstance/{name}{wait}")
        if status == 404 and self.known.get(name):
            raise Deviation(f"{self.name}: {name} was lost")
        if status in (200, 404):
            self.known[name] = None
        elif status == 0:
            self.known.pop(name, None)

    def ask_last(self):
        self.create(f"{self.name}-last", "?wait=60")

    def look(self):
        for name, promised in self.known.items():
            path = f"/v1/serviceinstance/{name}"
            if promised is None:
                see_gone(self.stage, name, path, (404,))
                continue
            status, body = self.stage.call("GET", f"{path}?wait=60")
            found = (status, body.get("id"), body.get("status"), body.get("binding", {}).get("status"))
            self.expect(name, found, (200, promised, "READY", "READY"))
        return len(self.known)


class Keeper(Person):
    """Stores secrets, and changes and removes them."""

    def __init__(self, stage, name, luck):
        super().__init__(stage, name, luck)
        # {name: the value that must be there, or None if nothing may be}
        self.known = {}

    def ask(self):
        name = f"{self.name}-{self.luck.randrange(5)}"
        value = str(self.luck.random())
        self.change(name, *self.luck.choice([
            ("POST", "/v1/secret", value), ("PUT", f"/v1/secret/{name}", value), ("DELETE", f"/v1/secret/{name}", None),
        ]))

    def ask_last(self):
        self.change(f"{self.name}-last", "POST", "/v1/secret", "last")

    def change(self, name, method, path, after):
        body = {"name": name, "secrets": {"value": after}}
        status, _ = self.call(method, path, body if after else None)
        if status in (200, 201, 204):
            self.known[name] = after
        elif status == 0:
            self.known.pop(name, None)

    def look(self):
        for name, value in self.known.items():
            status, body = self.stage.call("GET", f"/v1/secret/{name}")
            found = body["secrets"]["value"] if status == 200 else None
            self.expect(name, found, value)
        return len(self.known)

    def secrets(self):
        return [f"{self.name}-{number}" for number in [*range(5), "last"]]


class Caller(Person):
    """Has a function run, without waiting for it."""

    def __init__(self, stage, name, luck):
        super().__init__(stage, name, luck)
        # {id of a run that was accepted: its output}
        self.known = {}

    def ask(self):
        number = self.luck.randrange(1000)
        run = {"blocking": False, "input": {"number": number}}
        status, body = self.call("POST", "/v1/runs?functionName=double", run)
        if status == 202:
            self.known[body["name"]] = number * 2

    def ask_last(self):
        self.ask()

    def look(self):
        for run, output in self.known.items():
            path = f"/v1/runs/{run}?functionName=double"
            ended = lambda: self.stage.call("GET", path)[1].get("status") in ("READY", "ERROR")  # noqa: E731
            wait_for(f"the end of run {run}", ended)
            body = self.stage.call("GET", path)[1]
            # One that was being executed when the server ended says so (it is not started twice).
            if body["status"] == "READY":
                self.expect(run, body["output"], output)
            else:
                self.expect(run, body["error"]["message"], "the server stopped during the run")
        return len(self.known)
