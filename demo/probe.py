"""Tries to reach addresses, and tells which it could."""
import socket


def handle(ctx, payload):
    reached, refused = [], []
    for target in payload["targets"]:
        host, port = target.rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), timeout=2) as connection:
                # A relay accepts first and hangs up when the server may not dial: reading shows that.
                connection.settimeout(1)
                try:
                    gone = connection.recv(1) == b""
                except TimeoutError:
                    gone = False
            (refused if gone else reached).append(target)
        except OSError:
            refused.append(target)
    return {"reached": reached, "refused": refused}
