"""Requests whose bodies arrive slowly wait in threads of their own; probes and pages go ahead."""

import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from statestore.operations import slow_clients
from statestore.operations.slow_clients import BUFFERED_BYTES, UnhurriedBodies
from tests.waiting import HANG_SECONDS, wait_for


class Body:
    """A body that does not arrive before it is let go."""

    def __init__(self, text: bytes = b"x=1") -> None:
        self.rest, self.arrived, self.was_asked = BytesIO(text), threading.Event(), threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.was_asked.set()
        assert self.arrived.wait(HANG_SECONDS)
        return self.rest.read(size)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def ask(app: Any, path: str = "/", length: int = 0, body: Any = None, **more: str) -> tuple[str, bytes]:
    statuses: list[str] = []
    environ = {
        "PATH_INFO": path, "CONTENT_LENGTH": str(length or ""), "wsgi.input": body or BytesIO(), **more
    }  # fmt: skip
    content = b"".join(app(environ, lambda status, headers: statuses.append(status)))
    return statuses[0], content


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "UNFINISHED_BODIES", 2)
    monkeypatch.setattr(slow_clients, "PATIENCE_SECONDS", 0.01)


def test_an_unfinished_body_takes_no_place_at_which_work_is_done():
    app, bodies, answers = UnhurriedBodies(application, places=1), [Body(), Body()], []
    threads = [
        threading.Thread(target=lambda body=body: answers.append(ask(app, "/login/", 3, body))) for body in bodies
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(body.was_asked.is_set() for body in bodies), "both bodies to be asked for")
    assert ask(app, "/agents/") == ("200 OK", b"")
    status, text = ask(app, "/login/", 3, BytesIO(b"x=1"))
    assert status.startswith("503")
    assert b"Nothing was changed" in text
    for body in bodies:
        body.arrived.set()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert answers == [("200 OK", b"x=1")] * 2
    assert ask(app, "/login/", 3, BytesIO(b"x=1")) == ("200 OK", b"x=1")


def test_a_probe_is_answered_while_all_places_are_taken():
    begun, done = threading.Event(), threading.Event()

    def busy(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/slow":
            begun.set()
            assert done.wait(HANG_SECONDS)
        return [b""]

    app = UnhurriedBodies(busy, ahead={"/healthz"}, places=1)
    thread = threading.Thread(target=ask, args=(app, "/slow"))
    thread.start()
    assert begun.wait(HANG_SECONDS)
    assert ask(app, "/healthz") == ("200 OK", b"")
    done.set()
    thread.join(HANG_SECONDS)


@pytest.mark.parametrize("how", ["large", "chunked"])
def test_a_large_body_is_left_to_the_application(how: str):
    text = b"x" * (BUFFERED_BYTES + 1)
    more = {"HTTP_TRANSFER_ENCODING": "chunked"} if how == "chunked" else {}
    body = BytesIO(text)
    seen: list[Any] = []

    def look(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["wsgi.input"])
        return application(environ, start_response)

    answer = ask(UnhurriedBodies(look, places=1), "/x", 0 if more else len(text), body, **more)
    assert answer == ("200 OK", text)
    assert seen == [body]


def test_a_body_that_its_client_cut_off_is_not_worked_on():
    status, text = ask(UnhurriedBodies(application, places=1), "/login/", 10, BytesIO(b"x=1"))
    assert status.startswith("400")
    assert b"Nothing was changed" in text


def test_an_application_that_fails_gives_its_place_back():
    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise RuntimeError

    app = UnhurriedBodies(failing, places=1)
    for length in (0, 3, BUFFERED_BYTES + 1) * 3:
        with pytest.raises(RuntimeError):
            ask(app, "/", length, BytesIO(b"x=1"))
