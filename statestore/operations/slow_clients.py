"""Clients that send the body of a request slowly, or never: they wait in threads of their own.

The server hands a request over with its headers, and reading the body then blocks a thread for as long as its client
likes; there is no limit that the server could set. So a small body is read before the request takes one of the few
places at which work is done, and only so many requests may have an unfinished body. What has none, pages and probes,
always finds a thread.
"""

import os
from collections.abc import Callable, Container, Iterable
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any, Final, TypeAlias

Environment: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environment, Any], Iterable[bytes]]

# How many requests are worked on at the same time: `manage.py serve --threads`.
VARIABLE: Final = "STATESTORE_THREADS"
USUAL_PLACES: Final = 4
# So many requests may have an unfinished body; the next wait for so long, and are then refused.
UNFINISHED_BODIES: Final = 32
PATIENCE_SECONDS: Final = 0.5
# And so many may wait for a place to be worked at. All together are the threads that the server starts, on demand.
WAITING_REQUESTS: Final = 28
# Larger bodies are read while they are worked on; their senders are known by then.
BUFFERED_BYTES: Final = 64 * 1024

_CROWDED: Final = b"Too many requests are still being sent. Nothing was changed. Try again in a few seconds.\n"
_CUT_OFF: Final = b"The request ended before its body was complete. Nothing was changed.\n"


def threads(places: int) -> int:
    """Return how many threads the server needs for so many places."""
    return places + UNFINISHED_BODIES + WAITING_REQUESTS


class UnhurriedBodies:
    """The application behind a room in which requests wait for their bodies."""

    def __init__(self, application: Application, *, ahead: Container[str] = (), places: int | None = None) -> None:
        """`ahead`: the paths that wait for nothing."""
        self._application, self._ahead = application, ahead
        self._places = BoundedSemaphore(places or int(os.environ.get(VARIABLE, USUAL_PLACES)))
        self._unfinished = BoundedSemaphore(UNFINISHED_BODIES)

    def __call__(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        """Answer a request: a probe at once, another one when its body is there and a place is free."""
        if environ.get("PATH_INFO") in self._ahead:
            return self._application(environ, start_response)
        length = environ.get("CONTENT_LENGTH") or "0"
        if length == "0" and "HTTP_TRANSFER_ENCODING" not in environ:
            return self._worked_on(environ, start_response)
        if not self._unfinished.acquire(timeout=PATIENCE_SECONDS):
            return _refused(start_response, "503 Service Unavailable", _CROWDED)
        try:
            if not length.isdecimal() or not 0 < int(length) <= BUFFERED_BYTES:
                return self._application(environ, start_response)
            body = _read(environ["wsgi.input"], int(length))
        finally:
            self._unfinished.release()
        if len(body) < int(length):
            # The part that arrived could pass for a form with fewer fields.
            return _refused(start_response, "400 Bad Request", _CUT_OFF)
        environ["wsgi.input"] = BytesIO(body)
        return self._worked_on(environ, start_response)

    def _worked_on(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        with self._places:
            return self._application(environ, start_response)


def _read(body: Any, length: int) -> bytes:
    """Return the body, or as much of it as its client sent before it left."""
    parts: list[bytes] = []
    while length and (part := body.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _refused(start_response: Any, status: str, text: bytes) -> list[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
    if status.startswith("503"):
        headers.append(("Retry-After", "5"))
    start_response(status, headers)
    return [text]
