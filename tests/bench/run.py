"""The measurements in their order, and among them that of the diff."""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from statestore import models
from statestore.jsondiff import diff, parsing
from tests.bench import data, figures, http, pages, past, searching, sources, stores, upkeep, verbs
from tests.bench.figures import show, timed


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
        data.fill(home / "store.db", **data.rows())
    size = (home / "store.db").stat().st_size / 1e6
    made = ", ".join(f"{number:,} {kind}" for kind, number in data.rows().items())
    print(f"{made} transitions: {size:,.0f} MB in {time.perf_counter() - start:.0f} s; SQLite {sqlite3.sqlite_version}")
    print(f"{'':<52} {'median':>9}    {'p95':>9}")
    # On a store that STORE_URL names, another program may write too: the write lock then rests after each write
    # (docs/architecture.md). Here nothing else writes, and the rests are not what is measured.
    settings.STORE_IS_EMBEDDED = True
    client, only = pages.signed_in(), os.environ.get("BENCH_ONLY", "")
    parts: dict[str, Callable[[], None]] = {
        "pages": lambda: pages.measure(home, client),
        "search": lambda: searching.main(home),
        "verbs": lambda: verbs.measure(home),
        "diffs": diffs,
        "http": lambda: http.main(home),
        "past": lambda: past.measure(home, client),
        "upkeep": upkeep.measure,
        "stores": lambda: stores.measure(home, client),
        "sources": lambda: sources.measure(home, client),
    }
    for name, part in parts.items():
        if not only or name in only.split(","):
            part()
    if kept := os.environ.get("BENCH_FIGURES"):
        figures.save(Path(kept))
    check(is_whole=not only)


def check(*, is_whole: bool) -> None:
    """Name the lines that break a bound, and with CHECK=1 fail."""
    faults = figures.broken_bounds() + (figures.unmeasured_bounds() if is_whole else [])
    for fault in faults:
        print(f"Out of bounds: {fault}", flush=True)
    if faults and os.environ.get("CHECK") == "1":
        raise SystemExit(1)
