"""The measurements: pages in process, verbs beside bare SQL, the diff."""

import json
import os
import re
import sqlite3
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import Client

from statestore import models, restore, search
from statestore.access.audit import Actor
from statestore.db import orchestrator_schema as schema
from statestore.jsondiff import diff, parsing
from statestore.store import StateStore
from tests.bench import data, http, past, searching

AGENTS, TRANSITIONS, EVENTS, HEAVY = (
    int(os.environ.get(name, default))
    for name, default in (
        ("BENCH_AGENTS", 100_000),
        ("BENCH_TRANSITIONS", 1_000_000),
        ("BENCH_EVENTS", 1_000_000),
        ("BENCH_HEAVY", 10_000),
    )
)
ADA = Actor("ada")


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of a work's milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95) - 1]


def show(name: str, median: float, p95: float, note: str = "") -> None:
    print(f"{name:<52} {median:9.2f} ms {p95:9.2f} ms   {note}", flush=True)


def signed_in() -> Client:
    """Return a client of somebody who may do anything."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.ALLOWED_HOSTS.append("testserver")
    client = Client()
    client.force_login(
        get_user_model().objects.get_or_create(username="ada", is_superuser=True, is_staff=True)[0],
        "django.contrib.auth.backends.ModelBackend",
    )
    return client


def pages(home: Path, client: Client) -> None:
    """Measure each page in process: server time and questions to the store, no network."""
    settings.SEARCH_INDEX = str(home / "search.db")
    search.index_all()
    older, far = (_older(client, address) for address in ("/agents/", "/agents/?sort=oldest"))
    snapshot = StateStore(actor=ADA).create_snapshot("agent-000001", "bench")
    for name, address in {
        "overview": "/",
        "agents": "/agents/",
        "agents, next page": f"/agents/?cursor={older}",
        "agents, longest unchanged, next": f"/agents/?sort=oldest&cursor={far}",
        "agents, one status": "/agents/?status=failed",
        "agents, one namespace": "/agents/?namespace=team-3",
        "agents, text that few have": "/agents/?q=agent-077777",
        "agents, text that none has": "/agents/?q=zzzzzz",
        "agent, small past": "/agents/agent-000001/",
        "agent, 10,000 heavy transitions": "/agents/agent-000000/",
        "transition of 11 KB": f"/transitions/heavy-{HEAVY // 2}/",
        "snapshot": f"/snapshots/{snapshot.pk}/",
        "restore preview": f"/agents/agent-000001/restore/?moment=snapshot:{snapshot.pk}",
        "snapshots": "/snapshots/",
        "restores": "/restores/",
        "events": "/events/",
        "events of a session": "/events/?q=session:session-7",
        "events with a word": "/events/?q=parser",
        "sessions": "/sessions/",
        "a session": "/sessions/session-77/",
        "tasks": "/tasks/",
        "trash": "/trash/",
        "audit": "/audit/",
        "admin: agents": "/admin/statestore/agentstate/",
        "admin: transitions": "/admin/statestore/transition/",
        "admin: events": "/admin/statestore/event/",
    }.items():
        asked: list[str] = []
        with connections["store"].execute_wrapper(partial(_count, asked)):
            assert client.get(address).status_code == 200, address
        show(name, *timed(partial(client.get, address), 11), f"{len(asked)} queries")


def _count(asked: list[str], execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
    asked.append(sql)
    return execute(sql, parameters, many, context)


def _older(client: Client, address: str) -> str:
    found = re.search(r'data-key="older"\s+href="[^"]*cursor=([\w%-]+)', client.get(address).content.decode())
    assert found, address
    return found[1]


def verbs(home: Path) -> None:
    """Measure the verbs of the Python API beside bare SQL on a file of the same kind."""
    store, text = StateStore(actor=ADA), data.state(11_000, 1)
    (home / "bare.db").unlink(missing_ok=True)
    bare = sqlite3.connect(home / "bare.db", isolation_level=None)
    bare.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + ";".join(schema.create_statements()))
    number = iter(range(10**9))

    def bare_save() -> None:
        n = next(number)
        bare.execute("BEGIN IMMEDIATE")
        bare.execute(
            "INSERT OR REPLACE INTO agent_states (key, agent_id, name, status, state_data, created_at, updated_at)"
            " VALUES ('a', 'a', 'a', 'idle', ?, 1, ?)", [text, n],
        )  # fmt: skip
        bare.execute("INSERT INTO state_transitions VALUES (?, 'a', ?, ?, 'r', ?, NULL)", [str(n), text, text, n])
        bare.execute("COMMIT")

    show("bare SQL: save 11 KB and its transition", *timed(bare_save, 400))
    show("save 11 KB and its transition", *timed(lambda: store.save_agent_state("bench", text, reason="r"), 400))
    show("load a state", *timed(lambda: store.load_agent_state("bench"), 400))
    show("create a snapshot", *timed(lambda: store.create_snapshot("bench"), 200))
    snapshot = store.create_snapshot("bench")
    moment = f"snapshot:{snapshot.pk}"
    times = timed(lambda: restore.apply(restore.plan("bench", moment), by=ADA), 200)
    show("restore", *times, "plan and warnings included")
    event = {"event_type": "message", "session_id": "s", "actor_type": "Agent", "actor_id": "a", "content": "x" * 200}
    batches = [[{**event, "id": f"b{i}-{n}"} for n in range(1000)] for i in range(20)]
    start = time.perf_counter()
    for batch in batches:
        store.save_events(batch)
    seconds = time.perf_counter() - start
    print(f"{'ingest of events, 1,000 at a time':<52} {20_000 / seconds:9,.0f} events/s", flush=True)


def diffs() -> None:
    """Measure the comparison of two parsed 1 MB states, seven changes apart."""
    messages = [{"id": n, "role": "tool", "content": f"{n} " + "x" * 360} for n in range(2600)]
    before: Any = {"messages": messages, "plan": {"step": 1}}
    after = json.loads(json.dumps(before))
    del after["messages"][900]
    for place in (3, 2000):
        after["messages"].insert(place, {"id": -place, "role": "user", "content": "new"})
    for place in (100, 500, 1500, 2400):
        after["messages"][place]["content"] += " edited"
    changes = len(diff.diff(before, after).changes)
    size = len(parsing.dump(before, indent=None)) / 1e6
    show(
        f"diff of two parsed states of {size:.2f} MB",
        *timed(lambda: diff.diff(before, after), 21),
        f"{changes} changes",
    )


def main(home: Path) -> None:
    """Make the data, then measure."""
    for alias in ("default", "store"):
        call_command("migrate", database=alias, verbosity=0)
    start = time.perf_counter()
    if not models.AgentState.objects.exists():
        data.fill(home / "store.db", agents=AGENTS, transitions=TRANSITIONS, events=EVENTS, heavy=HEAVY)
    size = (home / "store.db").stat().st_size / 1e6
    print(f"{AGENTS:,} agents, {TRANSITIONS:,} transitions, {EVENTS:,} events: {size:,.0f} MB"
          f" in {time.perf_counter() - start:.0f} s; SQLite {sqlite3.sqlite_version}")  # fmt: skip
    print(f"{'':<52} {'median':>9}    {'p95':>9}")
    client, only = signed_in(), os.environ.get("BENCH_ONLY", "")
    parts: dict[str, Callable[[], None]] = {
        "pages": lambda: pages(home, client),
        "search": lambda: searching.main(home),
        "verbs": lambda: verbs(home),
        "diffs": diffs,
        "http": lambda: http.main(home),
        "past": lambda: past.measure(client, show, timed),
    }
    for name, part in parts.items():
        if only in ("", name):
            part()
    assert models.AgentState.objects.count() >= AGENTS
