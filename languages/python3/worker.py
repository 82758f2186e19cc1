# Dispatch's side of a Python worker: says hello, loads one handler, answers one call at a time.
#
# It runs as `python3 -I -S -B -X utf8 -c <this file>` with a socket to the server at descriptor 3
# (frames: crates/runtime/src/frame.rs) and pipes at 1 and 2. It imports little, because every
# cold start pays for it. It is no sandbox: the function shares this process and may do as it likes.
import os
import sys

CHANNEL = 3
PROTOCOL = 1
LOAD, CALL = 1, 2
HELLO, LOADED, LOAD_ERROR, RESULT, ERROR = 16, 17, 18, 19, 20
MAX_RESULT = 10 << 20
MAX_MESSAGE = 16 << 10
MAX_NOTE = 200 << 10
MAX_STACK_LINES, MAX_STACK_LINE = 100, 1000
NO_CALL = bytes(8)


def send(kind, call, body):
    frame = (9 + len(body)).to_bytes(4, "big") + bytes((kind,)) + call + body
    done = os.write(CHANNEL, frame)
    if done < len(frame):
        rest = memoryview(frame)[done:]
        while rest:
            rest = rest[os.write(CHANNEL, rest):]


def receive():
    """The next frame as (type, call id, body), or None when the server has hung up."""
    data = os.read(CHANNEL, 65536)
    while 0 < len(data) < 13:
        more = os.read(CHANNEL, 65536)
        data = data + more if more else b""
    if not data:
        return None
    length = int.from_bytes(data[:4], "big") + 4
    if len(data) < length:
        whole = bytearray(length)
        whole[:len(data)] = data
        got = len(data)
        view = memoryview(whole)
        while got < length:
            more = os.readv(CHANNEL, [view[got:]])
            if more == 0:
                return None
            got += more
        data = whole
    return data[4], bytes(data[5:13]), memoryview(data)[13:length]


class Fault(Exception):
    """A failure in the platform's own words, without a stack trace."""


def describe(error, skip, kind="FunctionError", message=None):
    """The body of an error frame. The first `skip` frames of the trace are ours and left out."""
    trace = error.__traceback__
    for _ in range(skip):
        trace = trace and trace.tb_next
    if message is None:
        try:
            message = str(error) or type(error).__name__
        except BaseException:
            message = type(error).__name__ + " (its text cannot be had)"
    stack = []
    try:
        import traceback

        text = "".join(traceback.format_exception(type(error), error, trace, limit=-50))
        stack = [line[:MAX_STACK_LINE] for line in text.splitlines()]
        if len(stack) > MAX_STACK_LINES:
            stack = stack[:10] + ["  ..."] + stack[11 - MAX_STACK_LINES:]
    except BaseException:
        pass
    return failure(kind, message, stack)


def failure(kind, message, stack=()):
    """The body of an error frame, below the size at which the server would refuse it."""
    import json

    stack = list(stack)
    message = message[:MAX_MESSAGE]
    while True:
        body = {"type": kind, "message": message, "stacktrace": stack}
        # What UTF-8 cannot hold (half of a surrogate pair) becomes a question mark.
        text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        if len(text) <= MAX_NOTE:
            return text
        if len(stack) > 1:
            stack = stack[-(len(stack) // 2):]
        else:
            stack, message = [], message[:MAX_MESSAGE // 16]


def load(code, dependencies, handler):
    """The function that `handler` names; raises Fault, or what the module raises."""
    sys.path[:0] = [code, *dependencies]
    os.chdir(code)
    for layer in dependencies:
        if any(name.endswith(".pth") for name in os.listdir(layer)):
            import site

            site.addsitedir(layer)
    if not handler:
        sources = [name for name in os.listdir(code) if name.endswith(".py")]
        if len(sources) != 1:
            raise Fault(
                "exactly 1 Python file is needed when no handler is given, "
                "there are %d: name the handler as module.function" % len(sources)
            )
        handler = sources[0][:-3] + ".handle"
    module_name, dot, name = handler.rpartition(".")
    if not dot or not module_name or not name or "/" in handler:
        raise Fault("the handler %r is not of the form module.function" % handler)
    __import__(module_name)
    function = getattr(sys.modules[module_name], name, None)
    if function is None:
        raise Fault("module %r has no %r" % (module_name, name))
    if not callable(function):
        raise Fault("%s is not a function" % handler)
    check_arguments(function, handler)
    return function


def check_arguments(function, handler):
    code = getattr(function, "__code__", None)
    if type(function) is type(check_arguments) and not hasattr(function, "__wrapped__"):
        if code.co_flags & 0x280:
            raise Fault("%s is asynchronous; define it with def" % handler)
        if code.co_argcount == 2 and not code.co_kwonlyargcount:
            return
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # written in C without a signature: the first call will tell
    try:
        signature.bind(None, None)
    except TypeError:
        raise Fault(
            "%s%s does not take exactly 2 arguments, the context and the payload"
            % (handler, signature)
        ) from None


def load_frame(body):
    """The loaded function, or None when the error was sent."""
    import json

    skip = 2
    try:
        wanted = json.loads(bytes(body))
        function = load(wanted["code"], wanted["dependencies"], wanted["handler"])
    except Fault as fault:
        answer = failure("FunctionError", str(fault))
    except SystemExit as ended:
        text = "the module called sys.exit(%r) while it was imported" % (ended.code,)
        answer = describe(ended, skip, message=text)
    except BaseException as error:
        text = "cannot import the function: %s: %s" % (type(error).__name__, error)
        answer = describe(error, skip, message=text)
    else:
        flush()
        send(LOADED, NO_CALL, b"")
        return function
    flush()
    send(LOAD_ERROR, NO_CALL, answer)
    return None


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def serve(function):
    import json
    import time

    loads = json.loads
    encode = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode
    process = os.getpid()

    def context_of(header):
        context = header["context"]
        context.setdefault("timeout", header["timeout"])
        seconds, milliseconds = divmod(header["deadline"], 1000)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        context.setdefault("deadline", "%s.%03dZ" % (when, milliseconds))
        return context

    def answer(body):
        split = 4 + int.from_bytes(body[:4], "big")
        try:
            context = context_of(loads(str(body[4:split], "utf-8")))
            payload = loads(str(body[split:], "utf-8")) if len(body) > split else None
        except (ValueError, RecursionError) as error:
            return ERROR, failure("InputError", "Python cannot read the payload: %s" % error)
        try:
            value = function(context, payload)
        except (ValueError, TypeError) as error:
            return ERROR, describe(error, 1, kind="InputError")
        except SystemExit as ended:
            text = "the function called sys.exit(%r)" % (ended.code,)
            return ERROR, describe(ended, 1, message=text)
        except BaseException as error:
            return ERROR, describe(error, 1)
        try:
            result = encode(value).encode()
        except BaseException as error:
            text = "the function returned what JSON cannot hold: %s" % error
            return ERROR, failure("FunctionError", text)
        if len(result) > MAX_RESULT:
            text = "the result is %d bytes of JSON; at most %d are allowed"
            return ERROR, failure("FunctionError", text % (len(result), MAX_RESULT))
        return RESULT, result

    while True:
        frame = receive()
        if frame is None:
            return
        kind, call, body = frame
        if kind != CALL:
            raise SystemExit("frame of type %d from the server" % kind)
        kind, body = answer(body)
        flush()
        if os.getpid() != process:
            os._exit(0)  # a child that the function forked and let return
        send(kind, call, body)
        del frame, body


def main():
    import builtins

    os.set_inheritable(CHANNEL, False)
    version = "%d.%d.%d" % sys.version_info[:3]
    hello = '{"protocol":%d,"language":"python3","version":"%s"}' % (PROTOCOL, version)
    send(HELLO, NO_CALL, hello.encode())
    # What `site` would have made and functions use; and lines that a kill cannot swallow.
    builtins.exit = builtins.quit = sys.exit
    sys.argv = [""]
    sys.stdout.reconfigure(line_buffering=True)
    import json  # while the server reads the hello

    frame = receive()
    if frame is None:
        return
    if frame[0] != LOAD:
        raise SystemExit("frame of type %d from the server" % frame[0])
    function = load_frame(frame[2])
    if function is not None:
        del frame
        serve(function)


main()
