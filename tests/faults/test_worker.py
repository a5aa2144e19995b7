"""The process that answers requests is killed, or grows: another one takes its place, and the service goes on."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import CONNECTION_LOST, Server, Visitor, serving
from tests.faults.sites import SiteMaker
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.sqlite,
    pytest.mark.skipif(not os.path.exists("/proc"), reason="no /proc"),
]


def worker_of(server: Server) -> int:
    """Return the one process that answers requests, once there is only one."""
    wait_for(lambda: len(server.workers()) == 1, "a single server process")
    return server.workers().pop()


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def answers(server: Server) -> bool:
    try:
        with Visitor(server.port) as visitor:
            return visitor.get("/healthz").status == 200 and visitor.get("/login/").status == 200
    except CONNECTION_LOST:
        return False  # The connection was accepted by the process that was killed.


def test_a_killed_worker_is_replaced(make_site: SiteMaker):
    with serving(make_site("wal")) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        killed = [worker_of(server)]
        for _ in range(times(1, 5)):
            os.kill(killed[-1], signal.SIGKILL)
            wait_for(
                lambda: answers(server), "an answer after the kill", is_alive=lambda: server.process.poll() is None
            )
            assert worker_of(server) not in killed, "the killed process still answers"
            killed.append(worker_of(server))
        with visitor.another() as later:
            page = later.get("/agents/")
        tell("killed workers", kills=len(killed) - 1, failures=page.status != 200, canary="none")
    assert page.status == 200, page


def test_a_connection_made_while_no_process_answers_waits_for_the_next_one(make_site: SiteMaker):
    with serving(make_site("wal")) as server:
        killed = worker_of(server)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: is_dead(killed), "the end of the killed process")
        with Visitor(server.port) as visitor:
            answer = visitor.get("/healthz")
    assert answer.status == 200, answer


def test_a_worker_that_holds_too_much_memory_is_replaced_without_a_failed_request(make_site: SiteMaker):
    with serving(make_site("wal"), "--max-memory-mb", "1") as server:
        first = worker_of(server)
        failed: list[str] = []

        def is_replaced() -> bool:
            with Visitor(server.port) as visitor:
                answer = visitor.get("/healthz")
            failed.extend([str(answer)] if answer.status != 200 else [])
            return bool(server.workers()) and first not in server.workers()

        wait_for(is_replaced, "a fresh process", is_alive=lambda: server.process.poll() is None)
    assert not failed, failed
