"""The functions of the recorded exchanges, by handler."""
import os
import sys


def handle(context, payload):
    print("log line to stdout")
    name, place = payload.get("name"), payload.get("place", "Nowhere")
    return {"myField": f"Hello, {name} from {place}"}


def echo(context, payload):
    return payload


def raises(context, payload):
    print("out")
    print("err", file=sys.stderr)
    raise Exception("boom")


def inputerr(context, payload):
    raise ValueError("bad input")


def badout(context, payload):
    return {"x": 1}


def ctx(context, payload):
    return {key: context.get(key) for key in ("httpContext", "secrets", "serviceBindings", "timeout")}


def crash(context, payload):
    os._exit(3)
