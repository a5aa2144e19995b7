"""`manage.py serve`: what it says, and when; from any folder; on IPv6."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from statestore.management.commands.serve import refuse_if_taken
from tests.deployed.sites import deployed
from tests.faults.server import CONNECTION_LOST, Server, Visitor
from tests.faults.sites import ROOT, Site
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def started(site: Site, host: str, folder: Path) -> Iterator[Server]:
    """Yield a server that was started in a folder, as soon as it says that it serves."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as free:
        free.bind((host, 0))
        port = int(free.getsockname()[1])
    log = folder / "server.log"
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--host", host, "--port", str(port)]
    environment = {**site.environment, "PYTHONPATH": ""}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    server = Server(process, port, str(log))
    try:
        wait_for(lambda: "Serving on" in server.log(), "the line", is_alive=lambda: process.poll() is None)
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:{}"),
        pytest.param("::1", "http://[::1]:{}", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6")),
    ],
)
def test_it_says_where_it_serves_once_when_it_takes_connections(
    templates: Templates, tmp_path: Path, host: str, url: str
):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with started(deployed(templates, tmp_path / "site"), host, folder) as server:
        with socket.create_connection((host, server.port)) as connection:
            connection.sendall(b"GET /login/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in connection.recv(100)
        assert f"Serving on {url.format(server.port)} (Ctrl-C stops it)\n" in server.log()
        assert {path.name for path in folder.iterdir()} == {"server.log"}
        if ":" not in host and os.path.exists("/proc"):
            (first,) = server.workers()
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: server.workers() - {first} and answers(server), "an answer of another process")
            assert server.log().count("Serving on") == 1


def test_a_second_one_on_the_same_port_is_refused_before_it_makes_anything(templates: Templates, tmp_path: Path):
    """The system would let both listen, and each would get some of a browser's requests."""
    site, empty = deployed(templates, tmp_path / "site"), tmp_path / "empty"
    with started(site, "127.0.0.1", tmp_path) as server:
        refused = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "serve", "--demo", "--port", str(server.port)],
            env={**os.environ, "VAR_DIR": str(empty)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr == (
        f"CommandError: Cannot serve on http://127.0.0.1:{server.port}: another program uses the port."
        f" Stop it, or choose another one: --port {server.port + 1}.\n"
    )
    assert not list(empty.glob("*.db"))


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", os.strerror(errno.EADDRNOTAVAIL)), ("no-such-host.invalid", "not known|resolution|No address")],
)
def test_an_address_of_another_machine_is_named(host: str, reason: str):
    with pytest.raises(CommandError, match=f"Cannot serve on http://{host}:8000: .*({reason}).*--host and --port"):
        refuse_if_taken(host, 8000)


def answers(server: Server) -> bool:
    try:
        with Visitor(server.port) as visitor:
            return visitor.get("/healthz").status == 200
    except CONNECTION_LOST:
        return False
