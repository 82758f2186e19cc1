"""Asks a web server how it answers: {"url": "http://example.com/"}.

A function reaches the services that it was given and nothing else, so that here this fails, and says why.
"""
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 10


def handle(ctx, payload):
    url = (payload or {}).get("url", "http://example.com/")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            return {"status": answer.status}
    except urllib.error.HTTPError as answer:
        return {"status": answer.code}
    except urllib.error.URLError as error:
        raise ConnectionError(
            f"cannot reach {url} ({error.reason}): a function reaches the services that it was given, and nothing else"
        ) from None
