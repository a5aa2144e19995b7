"""Requests are worked on when they are there: until then a client that sends slowly holds no thread.

The server hands over a request with its headers, by its asynchronous interface. A small body is awaited first, for as
long as it keeps up a rate; then the request takes one of a few places at which Django works, and gives it back before a
long answer is sent. Larger bodies, whose senders are known by then, are read while they are worked on, in threads of
their own. Probes have theirs.
"""

import asyncio
import contextlib
import functools
import io
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Container, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import BoundedSemaphore
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qs

from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]

from statestore.db import listening
from statestore.operations import announcement

Environment: TypeAlias = dict[str, object]
# Of what it calls to begin its answer WSGI wants a `write`, which nothing of Django's asks for.
Application: TypeAlias = Callable[[Environment, Any], Iterable[bytes]]
Headers: TypeAlias = list[tuple[str, str]]

log = logging.getLogger(__name__)

# How many requests are worked on at the same time: `manage.py serve --threads`.
VARIABLE: Final = "STATESTORE_THREADS"
USUAL_PLACES: Final = 4
PROBE_PLACES: Final = 2
UPLOAD_PLACES: Final = 4
# Answers that are sent part by part, each by a thread that waits for its client.
DOWNLOADS: Final = 16
# So many may wait, for their bodies or for a thread; others are refused. Each holds BUFFERED_BYTES at most.
WAITING_REQUESTS: Final = 1_000
BUFFERED_BYTES: Final = 64 * 1024
# A body may take so long, and longer as long as it arrives at this rate.
GRACE_SECONDS: Final = 10.0
LEAST_BYTES_PER_SECOND: Final = 4_096
# A client that takes no part of a long answer for so long has gone.
SEND_SECONDS: Final = 60.0

# The end of the live tail's address.
TAIL: Final = "/search/live/"
_NO_PLACE: Final = nullcontext()
# What the server says of a client that left.
_GONE: Final = (ProtocolClosed, ProtocolError)
_PLAIN: Final = ("content-type", "text/plain; charset=utf-8")
_RETRY: Final = ("retry-after", "5")
_CROWDED: Final = "Too many requests are waiting. Nothing was changed. Try again in a few seconds.\n"
_LATE: Final = "The request's body arrived too slowly. Nothing was changed.\n"
_LATE_UPLOAD: Final = (
    "The request's body arrived too slowly and was not read to its end. An import keeps the rows before that: send it"
    " again.\n"
)
_CUT_OFF: Final = "The request ended before its body was complete. Nothing was changed.\n"


class SentHeaders(Protocol):
    """The headers of a request."""

    def keys(self) -> Iterable[str]: ...
    def items(self) -> Iterable[tuple[str, str]]: ...


class Scope(Protocol):
    """What the server hands over of a request."""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str

    @property
    def headers(self) -> SentHeaders: ...


class Transport(Protocol):
    """An answer that is sent part by part."""

    async def send_bytes(self, data: bytes, /) -> None: ...


class Exchange(Protocol):
    """The server's side of a request: its body, and its answer."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_str(self, status: int, headers: Headers, body: str, /) -> None: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes, /) -> None: ...
    def response_stream(self, status: int, headers: Headers, /) -> Transport: ...


class WholeRequests:
    """A WSGI application as one of RSGI, the server's own interface."""

    def __init__(self, application: Application, *, ahead: Container[str] = (), places: int | None = None) -> None:
        """`ahead`: the paths that wait for nothing."""
        self._application, self._ahead = application, ahead
        places = places or int(os.environ.get(VARIABLE, USUAL_PLACES))
        self._places, self._downloads = BoundedSemaphore(places), BoundedSemaphore(DOWNLOADS)
        self._requests = ThreadPoolExecutor(places + DOWNLOADS, "request")
        self._probes = ThreadPoolExecutor(PROBE_PLACES, "probe")
        self._uploads = ThreadPoolExecutor(UPLOAD_PLACES, "upload")
        self._waiting = 0

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the server's event loop say where it is served, when it is."""
        listening.serve()
        self._announcement = loop.create_task(announcement.announce())

    async def __rsgi__(self, scope: Scope, protocol: Exchange) -> None:
        """Answer a request."""
        environ = environ_of(scope)
        if scope.path in self._ahead:
            await self._work(self._probes, environ, protocol)
        elif self._waiting >= WAITING_REQUESTS:
            protocol.response_str(503, [_PLAIN, _RETRY], _CROWDED)
        else:
            self._waiting += 1
            try:
                with contextlib.suppress(*_GONE):
                    await self._answer(environ, protocol)
            finally:
                self._waiting -= 1

    async def _answer(self, environ: Environment, protocol: Exchange) -> None:
        length = _length(environ)
        if length is None or length > BUFFERED_BYTES:
            body = ArrivingBody(protocol, asyncio.get_running_loop())
            environ["wsgi.input"] = io.BufferedReader(body, BUFFERED_BYTES)
            await self._work(self._uploads, environ, protocol, body)
            return
        if length:
            try:
                async with asyncio.timeout(_allowed_seconds(length)):
                    content = await protocol()
            except TimeoutError:
                # The rest would be taken for the next request.
                protocol.response_str(408, [_PLAIN, ("connection", "close")], _LATE)
                return
            if len(content) < length:
                # The part that arrived could pass for a form with fewer fields.
                protocol.response_str(400, [_PLAIN], _CUT_OFF)
                return
            environ["wsgi.input"] = io.BytesIO(content)
        if wanted := _awaited(environ):
            await listening.wait(wanted)
        await self._work(self._requests, environ, protocol, place=self._places)

    async def _work(
        self,
        pool: Executor,
        environ: Environment,
        protocol: Exchange,
        body: "ArrivingBody | None" = None,
        *,
        place: AbstractContextManager[object] = _NO_PLACE,
    ) -> None:
        """Run the application in a thread, from its first line to its `close`: it keeps connections for each."""
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(pool, self._response, environ, protocol, loop, place)
        if body is not None and body.is_late:
            protocol.response_str(408, [_PLAIN, ("connection", "close")], _LATE_UPLOAD)
        elif response is not None:
            protocol.response_bytes(*response)

    def _response(
        self,
        environ: Environment,
        protocol: Exchange,
        loop: asyncio.AbstractEventLoop,
        place: AbstractContextManager[object],
    ) -> tuple[int, Headers, bytes] | None:
        """Return status, headers and content; None if the content was sent part by part."""
        begun: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Headers, exc_info: object = None) -> None:
            begun[:] = [(int(status.partition(" ")[0]), headers)]

        content: Iterable[bytes] = ()
        try:
            with place:
                content = self._application(environ, start_response)
                ((status, headers),) = begun
                if _is_whole(content, headers):
                    return status, headers, b"".join(content)
            return self._sent(content, protocol, status, headers, loop)
        except _GONE:
            return None
        except Exception:
            log.exception("Could not answer %s %s", environ["REQUEST_METHOD"], str(environ["PATH_INFO"])[:200])
            is_sending = begun and not _is_whole(content, begun[0][1])
            return None if is_sending else (500, [("content-length", "0")], b"")
        finally:
            getattr(content, "close", _nothing)()

    def _sent(
        self,
        content: Iterable[bytes],
        protocol: Exchange,
        status: int,
        headers: Headers,
        loop: asyncio.AbstractEventLoop,
    ) -> tuple[int, Headers, bytes] | None:
        """Send each part when the client has taken the one before; return a refusal if too many do."""
        if not self._downloads.acquire(blocking=False):
            return 503, [_PLAIN, _RETRY, ("content-length", str(len(_CROWDED)))], _CROWDED.encode()
        try:
            transport = protocol.response_stream(status, headers)
            for part in content:
                sending = asyncio.run_coroutine_threadsafe(_send(transport, part), loop)
                try:
                    sending.result(SEND_SECONDS)
                except TimeoutError:
                    sending.cancel()
                    return None
        finally:
            self._downloads.release()
        return None


def _is_whole(content: Iterable[bytes], headers: Headers) -> bool:
    """Return whether a response is there already: Django says so, also where no middleware counted its bytes."""
    return not getattr(content, "streaming", True) or any(name.lower() == "content-length" for name, _ in headers)


def _awaited(environ: Environment) -> str:
    """Return the token of news that a request of the live tail waits for, before it takes a thread; "" of others."""
    if not str(environ["PATH_INFO"]).endswith(TAIL) or environ["REQUEST_METHOD"] != "GET":
        return ""
    return next(iter(parse_qs(str(environ["QUERY_STRING"])).get("heard", ())), "")


def _nothing() -> None:
    """What has no `close` needs none."""


async def _send(transport: Transport, part: bytes) -> None:
    await transport.send_bytes(part)


def _allowed_seconds(size: int) -> float:
    return GRACE_SECONDS + size / LEAST_BYTES_PER_SECOND


class ArrivingBody(io.RawIOBase):
    """A body that is read, in a thread, while it arrives. Raises TimeoutError where it does not keep up the rate."""

    def __init__(self, protocol: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._parts, self._loop = aiter(protocol), loop
        self._rest = memoryview(b"")
        self._waited_seconds, self._size = 0.0, 0
        self.is_late = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Return how much of the buffer was filled, 0 at the end."""
        if not self._rest:
            self._rest = memoryview(self._next())
            self._size += len(self._rest)
        number = min(len(buffer), len(self._rest))
        buffer[:number], self._rest = self._rest[:number], self._rest[number:]
        return number

    def _next(self) -> bytes:
        """Return the next part. Only the time that it is waited for counts, not what the application needs between."""
        began = time.monotonic()
        arriving = asyncio.run_coroutine_threadsafe(self._part(), self._loop)
        try:
            return arriving.result(max(0, _allowed_seconds(self._size) - self._waited_seconds))
        except TimeoutError:
            arriving.cancel()
            self.is_late = True
            raise TimeoutError("The body arrived too slowly") from None
        except _GONE as error:
            raise ConnectionResetError("The client left") from error
        finally:
            self._waited_seconds += time.monotonic() - began

    async def _part(self) -> bytes:
        # By `anext`: `async for` would ask the server's iterator for another one, which it has not.
        part = b""
        while not part:
            try:
                part = await anext(self._parts)
            except StopAsyncIteration:
                break
        return part


def environ_of(scope: Scope) -> Environment:
    """Return a request's scope as WSGI has it, without a body.

    Names with underscores are left out: they would pose as others, `X_Forwarded_For` as `X-Forwarded-For`.
    """
    host, _, port = scope.server.rpartition(":")
    environ: Environment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.0" if scope.http_version == "1" else f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if "_" not in name:
            variable = _variable(name)
            joint = ";" if variable == "HTTP_COOKIE" else ","
            environ[variable] = f"{environ[variable]}{joint}{value}" if variable in environ else value
    for name in scope.headers.keys():  # noqa: SIM118 (the server's own type)
        # Of a value that is not ASCII the server gives the name alone; a header that was sent must not seem absent.
        if "_" not in name:
            environ.setdefault(_variable(name), "")
    return environ


@functools.lru_cache(256)
def _variable(name: str) -> str:
    name = name.upper().replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"


def _length(environ: Environment) -> int | None:
    """Return how long a request's body is, None if only its end will tell."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    text = str(environ.get("CONTENT_LENGTH") or "0")
    return int(text) if text.isdecimal() else None
