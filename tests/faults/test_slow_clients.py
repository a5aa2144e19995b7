"""Clients that begin to send a form and never end: everybody else is served as before."""

import socket
from contextlib import ExitStack

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import HOST, Server, Visitor, serving
from tests.faults.sites import SiteMaker

pytestmark = [pytest.mark.faults, pytest.mark.sqlite, pytest.mark.alone]

PAGES = ("/healthz", "/readyz", "/", "/agents/", "/login/", "/api/v1/agents")


def begin_form(server: Server, token: str) -> socket.socket:
    """Return a connection that has sent two bytes of a form's body, with what the check of CSRF tokens looks at."""
    connection = socket.create_connection((HOST, server.port))
    lines = (
        "POST /login/ HTTP/1.1",
        f"Host: {HOST}:{server.port}",
        f"Cookie: csrftoken={token}",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 1000",
        "",
        "us",
    )
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_clients_that_never_end_a_form_stop_nobody(make_site: SiteMaker):
    slow = times(80, 400)
    with serving(make_site("wal")) as server, Visitor(server.port) as visitor, ExitStack() as connections:
        visitor.sign_in()
        for _ in range(slow):
            connections.enter_context(begin_form(server, visitor.cookies["csrftoken"]))
        answers = [visitor.get(path) for path in PAGES]
        answers.append(visitor.post("/theme/", theme="dark"))
        with visitor.another() as newcomer:
            newcomer.sign_in()
        wrong = [str(answer) for answer in answers if answer.status not in {200, 302}]
        tell("slow clients", clients=slow, requests=len(answers), failures=len(wrong), canary="none")
    assert not wrong, wrong
