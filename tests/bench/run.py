"""The measurements in their order, and among them those of pages in process and of the diff."""

import json
import os
import re
import sqlite3
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

from statestore import models, search
from statestore.access.audit import Actor
from statestore.jsondiff import diff, parsing
from statestore.store import StateStore
from tests.bench import data, figures, http, past, searching, verbs
from tests.bench.figures import show, timed

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
        show(f"page: {name}", *timed(partial(client.get, address), 11), note=f"{len(asked)} queries")


def _count(asked: list[str], execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
    asked.append(sql)
    return execute(sql, parameters, many, context)


def _older(client: Client, address: str) -> str:
    found = re.search(r'data-key="older"\s+href="[^"]*cursor=([\w%-]+)', client.get(address).content.decode())
    assert found, address
    return found[1]


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
        note=f"{changes} changes",
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
    # On a store that STORE_URL names, another program may write too: the write lock then rests after each write
    # (docs/architecture.md). Here nothing else writes, and the rests are not what is measured.
    settings.STORE_IS_EMBEDDED = True
    client, only = signed_in(), os.environ.get("BENCH_ONLY", "")
    parts: dict[str, Callable[[], None]] = {
        "pages": lambda: pages(home, client),
        "search": lambda: searching.main(home),
        "verbs": lambda: verbs.measure(home),
        "diffs": diffs,
        "http": lambda: http.main(home),
        "past": lambda: past.measure(home, client),
    }
    for name, part in parts.items():
        if only in ("", name):
            part()
    assert models.AgentState.objects.count() >= AGENTS
    check(is_whole=not only)


def check(*, is_whole: bool) -> None:
    """Name the lines that break a bound, and with CHECK=1 fail."""
    faults = figures.broken_bounds() + (figures.unmeasured_bounds() if is_whole else [])
    for fault in faults:
        print(f"Out of bounds: {fault}", flush=True)
    if faults and os.environ.get("CHECK") == "1":
        raise SystemExit(1)
