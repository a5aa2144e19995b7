"""Requests whose bodies arrive slowly hold no thread, and only for so long; probes and pages go ahead."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.http import HttpResponse
from granian.rsgi import ProtocolClosed

from statestore.operations import whole_requests
from statestore.operations.whole_requests import BUFFERED_BYTES, WholeRequests, environ_of
from tests.waiting import HANG_SECONDS

LARGE = b"x" * (BUFFERED_BYTES + 1)


class _Once:
    """The server's iterator: it cannot be asked for another one."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._next = parts.__anext__

    def __aiter__(self) -> Any:
        raise AssertionError("asked for an iterator of an iterator")

    async def __anext__(self) -> bytes:
        return await self._next()


@dataclass
class Sent:
    """A request as the server hands it over.

    `goes_on` lets the rest of its body arrive, `takes_more` lets its client take the next part of the answer.
    """

    path: str = "/"
    body: bytes = b""
    headers_sent: list[tuple[str, str]] | None = None
    length: int | None = None
    goes_on: asyncio.Event | None = None
    takes_more: asyncio.Event | None = None
    method: str = "POST"
    server: str = "127.0.0.1:8000"
    client: str = "192.0.2.7:4711"
    query_string: str = ""
    http_version: str = "1.1"
    scheme: str = "http"
    was_read: bool = False
    status: int | None = None
    answered: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""

    @property
    def headers(self) -> dict[str, str] | Any:
        length = len(self.body) if self.length is None else self.length
        items = [("content-length", str(length))] if self.headers_sent is None else self.headers_sent
        names = [name for name, _ in items]
        readable = [item for item in items if item[1].isascii()]
        return type("Headers", (), {"items": lambda _: readable, "keys": lambda _: names})()

    async def __call__(self) -> bytes:
        return b"".join([part async for part in self._parts()])

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert not self.was_read, "the server gives a body once"
        self.was_read = True
        return _Once(self._parts())

    async def _parts(self) -> AsyncIterator[bytes]:
        half = len(self.body) // 2
        yield self.body[:half]
        if self.goes_on is not None:
            await self.goes_on.wait()
        yield self.body[half:]

    def response_str(self, status: int, headers: list[tuple[str, str]], text: str) -> None:
        self.response_bytes(status, headers, text.encode())

    def response_bytes(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        assert self.status is None, "answered twice"
        self.status, self.answered, self.content = status, headers, content

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> "Sent":
        self.response_bytes(status, headers, b"")
        return self

    async def send_bytes(self, part: bytes) -> None:
        self.content += part
        if self.takes_more is not None:
            await self.takes_more.wait()


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_requests, "GRACE_SECONDS", 0.05)


def run(*asked: Any) -> None:
    async def together() -> None:
        await asyncio.wait_for(asyncio.gather(*asked), HANG_SECONDS)

    asyncio.run(together())


async def unfinished(app: WholeRequests, number: int) -> tuple[list[Sent], list["asyncio.Task[None]"]]:
    """Return requests that have sent half of their bodies, and the tasks that answer them."""
    requests = [Sent("/login/", b"x=1", goes_on=asyncio.Event()) for _ in range(number)]
    tasks = [asyncio.create_task(app.__rsgi__(request, request)) for request in requests]
    await asyncio.sleep(0)
    return requests, tasks


def test_unfinished_bodies_hold_no_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "GRACE_SECONDS", HANG_SECONDS)

    async def main() -> None:
        app = WholeRequests(echo, places=1)
        slow, tasks = await unfinished(app, 300)
        page, form = Sent("/agents/", headers_sent=[]), Sent("/login/", b"y=2")
        for request in (page, form):
            await app.__rsgi__(request, request)
        assert [page.status, form.status, form.content] == [200, 200, b"y=2"]
        for request in slow:
            assert request.goes_on is not None
            request.goes_on.set()
        await asyncio.gather(*tasks)
        assert {(request.status, request.content) for request in slow} == {(200, b"x=1")}

    run(main())


def test_a_body_that_takes_too_long_is_not_waited_for():
    async def main() -> None:
        (request,), (task,) = await unfinished(WholeRequests(echo, places=1), 1)
        await task
        assert request.status == 408
        assert b"Nothing was changed" in request.content
        assert ("connection", "close") in request.answered

    run(main())


def test_a_large_body_that_stops_arriving_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "LEAST_BYTES_PER_SECOND", len(LARGE) * 20)

    async def main() -> None:
        app = WholeRequests(echo, places=1)
        request = Sent("/import", LARGE, goes_on=asyncio.Event())
        await app.__rsgi__(request, request)
        assert request.status == 408
        # What was read may have been saved.
        assert b"Nothing was changed" not in request.content
        assert b"send it again" in request.content

    run(main())


@pytest.mark.parametrize("headers", [None, [("transfer-encoding", "chunked")]], ids=["long", "chunked"])
def test_a_large_body_is_read_while_it_is_worked_on(
    headers: list[tuple[str, str]] | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(whole_requests, "GRACE_SECONDS", HANG_SECONDS)
    read = threading.Event()

    def look(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        beginning = environ["wsgi.input"].read(10)
        read.set()
        rest = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "1")])
        return [b"1" if beginning + rest == LARGE else b"0"]

    async def main() -> None:
        app = WholeRequests(look, places=1)
        request = Sent("/import", LARGE, headers_sent=headers, goes_on=asyncio.Event())
        task = asyncio.create_task(app.__rsgi__(request, request))
        await asyncio.to_thread(read.wait, HANG_SECONDS)
        assert request.goes_on is not None
        request.goes_on.set()
        await task
        assert (request.status, request.content) == (200, b"1")

    run(main())


def test_a_body_that_its_client_cut_off_is_not_worked_on():
    request = Sent("/login/", b"x=1", length=10)
    run(WholeRequests(echo, places=1).__rsgi__(request, request))
    assert request.status == 400
    assert b"Nothing was changed" in request.content


def test_a_client_that_leaves_ends_its_request_in_silence(caplog: pytest.LogCaptureFixture):
    class Leaving(Sent):
        async def __call__(self) -> bytes:
            raise ProtocolClosed

        def __aiter__(self) -> AsyncIterator[bytes]:
            async def parts() -> AsyncIterator[bytes]:
                yield b"x"
                raise ProtocolClosed

            return parts()

        async def send_bytes(self, part: bytes) -> None:
            raise ProtocolClosed

    def export(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        return iter([b"a"])

    def upload(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with pytest.raises(ConnectionResetError):
            environ["wsgi.input"].read()
        start_response("400 Bad Request", [("Content-Length", "0")])
        return [b""]

    for application, body in ((echo, b"x=1"), (export, b""), (upload, LARGE)):
        request = Leaving("/", body)
        run(WholeRequests(application, places=1).__rsgi__(request, request))
    assert not caplog.records


def test_a_probe_is_answered_while_all_places_are_taken_and_others_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "WAITING_REQUESTS", 2)
    begun, done = threading.Event(), threading.Event()

    def busy(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            begun.set()
            assert done.wait(HANG_SECONDS)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    async def main() -> None:
        app = WholeRequests(busy, ahead={"/healthz"}, places=1)
        waiting = [Sent(path, headers_sent=[]) for path in ("/slow", "/next")]
        tasks = [asyncio.create_task(app.__rsgi__(request, request)) for request in waiting]
        await asyncio.to_thread(begun.wait, HANG_SECONDS)
        probe, page = Sent("/healthz", headers_sent=[]), Sent("/", headers_sent=[])
        for request in (probe, page):
            await app.__rsgi__(request, request)
        assert (probe.status, page.status) == (200, 503)
        assert ("retry-after", "5") in page.answered
        done.set()
        await asyncio.gather(*tasks)
        assert [request.status for request in waiting] == [200, 200]

    run(main())


def test_a_whole_response_is_no_download_though_no_one_counted_its_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "DOWNLOADS", 0)

    def probe(environ: dict[str, Any], start_response: Any) -> HttpResponse:
        start_response("200 OK", [("Content-Type", "application/json")])
        return HttpResponse(b"{}")

    request = Sent("/healthz", headers_sent=[])
    run(WholeRequests(probe, ahead={"/healthz"}, places=1).__rsgi__(request, request))
    assert (request.status, request.content) == (200, b"{}")


def test_a_response_without_a_length_is_sent_part_by_part_and_closed():
    closed = threading.Event()

    class Parts:
        def __iter__(self) -> Any:
            return iter([b"a", b"b", b"c"])

        def close(self) -> None:
            closed.set()

    def export(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        return Parts()

    request = Sent("/export", headers_sent=[])
    run(WholeRequests(export, places=1).__rsgi__(request, request))
    assert (request.status, request.content, closed.is_set()) == (200, b"abc", True)


def test_clients_that_take_no_more_of_an_answer_hold_no_place(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "DOWNLOADS", 2)

    def export(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            return echo(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/csv")])
        return iter([b"a", b"b"])

    async def main() -> None:
        app = WholeRequests(export, places=1)
        slow = [Sent("/export", headers_sent=[], takes_more=asyncio.Event()) for _ in range(2)]
        tasks = [asyncio.create_task(app.__rsgi__(request, request)) for request in slow]
        while not all(request.content for request in slow):
            await asyncio.sleep(0)
        page, third = Sent("/", headers_sent=[]), Sent("/export", headers_sent=[])
        for request in (page, third):
            await app.__rsgi__(request, request)
        assert (page.status, third.status) == (200, 503)
        assert ("retry-after", "5") in third.answered
        for request in slow:
            assert request.takes_more is not None
            request.takes_more.set()
        await asyncio.gather(*tasks)
        assert [request.content for request in slow] == [b"ab"] * 2
        again = Sent("/export", headers_sent=[])
        await app.__rsgi__(again, again)
        assert again.content == b"ab"

    run(main())


def test_a_client_that_takes_nothing_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "SEND_SECONDS", 0.05)
    closed = threading.Event()

    class Parts:
        def __iter__(self) -> Any:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.set()

    def export(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        return Parts()

    request = Sent("/export", headers_sent=[], takes_more=asyncio.Event())
    run(WholeRequests(export, places=1).__rsgi__(request, request))
    assert (request.content, closed.is_set()) == (b"a", True)


def test_a_body_is_not_late_for_what_its_request_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole_requests, "UPLOAD_PLACES", 1)
    monkeypatch.setattr(whole_requests, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(whole_requests, "LEAST_BYTES_PER_SECOND", len(LARGE) * 1000)

    def slowly(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        first = environ["wsgi.input"].read(10)
        threading.Event().wait(whole_requests.GRACE_SECONDS * 3)  # As long as an import works on what it has read.
        rest = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "1")])
        return [b"1" if first + rest == LARGE else b"0"]

    async def main() -> None:
        app = WholeRequests(slowly, places=1)
        requests = [Sent("/import", LARGE) for _ in range(2)]
        await asyncio.gather(*(app.__rsgi__(request, request) for request in requests))
        assert [(request.status, request.content) for request in requests] == [(200, b"1")] * 2

    run(main())


def test_an_application_that_fails_gives_its_place_back(caplog: pytest.LogCaptureFixture):
    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise RuntimeError("broken")

    app = WholeRequests(failing, places=1)
    with caplog.at_level(logging.CRITICAL, logger=whole_requests.__name__):
        for body in (b"", b"x=1", LARGE) * 3:
            request = Sent("/", body)
            run(app.__rsgi__(request, request))
            assert request.status == 500


def test_headers_become_variables_and_none_poses_as_another():
    request = Sent(
        "/é", server="[::1]:8000", client="[2001:db8::1]:4711", query_string="q=é",
        headers_sent=[("host", "h"), ("x-forwarded-for", "1.2.3.4"), ("x_forwarded_for", "6.6.6.6"), ("cookie", "a=1"),
                      ("cookie", "b=2"), ("x-b", "1"), ("x-b", "2"), ("content-type", "t"),
                      ("idempotency-key", "é")],
    )  # fmt: skip
    environ = environ_of(request)
    wanted = {
        "PATH_INFO": "/Ã©", "QUERY_STRING": "q=Ã©", "SERVER_NAME": "::1", "SERVER_PORT": "8000",
        "REMOTE_ADDR": "2001:db8::1", "HTTP_X_FORWARDED_FOR": "1.2.3.4", "HTTP_COOKIE": "a=1;b=2", "HTTP_X_B": "1,2",
        "CONTENT_TYPE": "t", "HTTP_IDEMPOTENCY_KEY": "",
    }  # fmt: skip
    assert {name: environ[name] for name in wanted} == wanted


@pytest.mark.parametrize(("given", "protocol"), [("1", "HTTP/1.0"), ("1.1", "HTTP/1.1"), ("2", "HTTP/2")])
def test_the_protocol_has_the_name_that_it_has_elsewhere(given: str, protocol: str):
    assert environ_of(Sent(http_version=given, headers_sent=[]))["SERVER_PROTOCOL"] == protocol
