"""What the recorded update made of hello.py."""


def handle(context, payload):
    return {"v": 2}
