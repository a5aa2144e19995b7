"""The JSON API over HTTP, by the production server on this machine, with Datasette on the same rows beside it."""

import http.client
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model

from statestore import search
from tests.bench import data, figures
from tests.faults.server import HOST, Site, serving

PAGES = {
    "100 agents": "/api/v1/agents?limit=100",
    "100 agents, one namespace": "/api/v1/agents?limit=100&namespace=team-3",
    "100 events": "/api/v1/events?limit=100",
    "100 events of a type": "/api/v1/events?limit=100&type=commit",
    "an agent": "/api/v1/agents/agent-000001",
}
PEER_PAGES = {"100 agents": "agent_states", "100 events": "events"}
SAVES, SAVERS = 2_000, 4
BATCHES, BATCH = 20, 1_000


def main(home: Path) -> None:
    """Measure pages, saves and batches over HTTP."""
    get_user_model().objects.get_or_create(username="bench", is_superuser=True)
    site = Site(home / "store.db", home / "dashboard.db")
    # What the other measurements saved is indexed first: the server would do it beside the pages.
    settings.SEARCH_INDEX = site.environment["SEARCH_INDEX"]
    search.index_all()
    secret = site.manage("token", "create", "bench", "--user", "bench", "--scopes", "read,write").strip()
    os.environ["API_RATE"] = "10000000/minute"
    with serving(site) as server:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        for name, path in PAGES.items():
            _show(f"JSON: {name}", _page(server.port, path, headers))
        _saves(server.port, headers)
        _batches(server.port, headers)
    _peer(home)


def _show(name: str, times: list[float], note: str = "") -> None:
    times.sort()
    p95 = times[int(len(times) * 0.95) - 1]
    figures.show(name, statistics.median(times), p95, note=note)


def _ask(connection: Any, method: str, path: str, body: str | None, headers: dict[str, str]) -> bytes:
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer: bytes = response.read()
    assert response.status < 300, (path, response.status, answer[:300])
    return answer


def _page(port: int, path: str, headers: dict[str, str], rounds: int = 300) -> list[float]:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    times = []
    for number in range(rounds + 10):
        start = time.perf_counter()
        _ask(connection, "GET", path, None, headers)
        if number >= 10:
            times.append((time.perf_counter() - start) * 1000)
    connection.close()
    return times


def _saves(port: int, headers: dict[str, str]) -> None:
    """Measure saves of one orchestrator after the other, and of four at once."""
    state = data.state(11_000, 1)
    body = f'{{"reason": "tool finished", "state": {state}}}'

    def save(who: int, times: list[float], count: int) -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        for _ in range(count):
            start = time.perf_counter()
            _ask(connection, "PUT", f"/api/v1/agents/saved-{who}", body, headers)
            times.append((time.perf_counter() - start) * 1000)
        connection.close()

    for savers in (1, SAVERS):
        times: list[float] = []
        threads = [threading.Thread(target=partial(save, n, times, SAVES // savers)) for n in range(savers)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = len(times) / (time.perf_counter() - start)
        _show(f"JSON: save a state of 11 KB, {savers} at once", times, f"{rate:,.0f} saves/s")


def _batches(port: int, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    event = {"event_type": "message", "session_id": "s", "actor_type": "Agent", "actor_id": "a", "content": "x" * 200}
    bodies = [
        json.dumps({"events": [{**event, "id": f"h{batch}-{n}"} for n in range(BATCH)]}) for batch in range(BATCHES)
    ]
    start = time.perf_counter()
    for body in bodies:
        _ask(connection, "POST", "/api/v1/events/batch", body, headers)
    rate = BATCHES * BATCH / (time.perf_counter() - start)
    figures.show_rate(f"JSON: events in batches of {BATCH:,}", rate, "events")


def _peer(home: Path) -> None:
    """Measure Datasette on the same rows, where DATASETTE or the path names it."""
    program = os.environ.get("DATASETTE") or shutil.which("datasette")
    if not program:
        print("Datasette: not installed (pip install datasette into an environment of its own; DATASETTE=its path)")
        return
    with _datasette(program, home / "store.db") as port:
        for name, table in PEER_PAGES.items():
            columns = [row[1] for row in sqlite3.connect(home / "store.db").execute(f"PRAGMA table_info({table})")]
            shown = "&".join(f"_col={column}" for column in columns if column != "state_data")
            path = f"/store/{table}.json?_size=100&_shape=array&_nocount=1&_nofacet=1&{shown}"
            _show(f"Datasette: {name}", _page(port, path, {}))


@contextmanager
def _datasette(program: str, store: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    command = [
        program,
        "serve",
        str(store),
        "--host",
        HOST,
        "--port",
        str(port),
        "--setting",
        "sql_time_limit_ms",
        "60000",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    try:
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("Datasette did not start") from None
                threading.Event().wait(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()
