"""The measurements of search: any word beside LIKE, pages, facets, the histogram, the index, the triggers' cost."""

import importlib
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from statestore import models, search
from statestore.search.fts import index_file
from tests.bench import data
from tests.bench.figures import show
from tests.foreign import orchestrator

WORDS = int(os.environ.get("BENCH_WORDS", "300"))
# By LIKE each takes more than a second: of as many as this, that is some minutes.
LIKE_WORDS = int(os.environ.get("BENCH_LIKE_WORDS", "100"))


def quantiles(work: Callable[[Any], object], items: list[Any]) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the worst of a work's milliseconds over some items."""
    times = []
    for item in items:
        start = time.perf_counter()
        work(item)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95) - 1], times[-1]


def words() -> list[str]:
    """Return words from common to absent, parts of words, and two characters."""
    chance = random.Random(5)
    vocabulary = data.vocabulary()
    ranks = [int(len(vocabulary) ** (n / WORDS)) - 1 for n in range(WORDS * 3 // 5)]
    whole = [vocabulary[rank] for rank in ranks]
    rare = chance.sample(vocabulary[5000:], WORDS // 10)
    parts = [word[1:5] for word in chance.sample([word for word in vocabulary if len(word) > 5], WORDS // 10)]
    absent = [data.made_up(chance) + data.made_up(chance) for _ in range(WORDS // 10)]
    short = ["".join(chance.choices("aeioprstdklmn", k=2)) for _ in range(WORDS - len(whole + rare + parts + absent))]
    return whole + rare + parts + absent + short


def find(text: str, cursor: str = "") -> search.ResultPage:
    return search.find(search.parse(text), cursor=cursor, limit=50)


def like(connection: sqlite3.Connection, word: str) -> None:
    pattern = f"%{word}%"
    connection.execute(
        "SELECT * FROM events WHERE content LIKE ? OR event_type LIKE ? OR session_id LIKE ?"
        " ORDER BY timestamp DESC LIMIT 100", [pattern] * 3,
    ).fetchall()  # fmt: skip


def _tenth(text: str) -> str:
    cursor = ""
    for _ in range(9):
        cursor = find(text, cursor).older or ""
    return cursor


def answers(store: Path) -> None:
    """Measure whole pages: the language, the index, the check against the events, the rows to show."""
    asked = words()
    random.Random(1).shuffle(asked)
    show(f"search, {len(asked)} words from common to absent", *quantiles(find, asked))
    show("  of them two characters", *quantiles(find, [word for word in asked if len(word) == 2]))
    connection = sqlite3.connect(store)
    some = asked[:LIKE_WORDS]
    scanned, found = quantiles(partial(like, connection), some), quantiles(find, some)
    show(f"  {len(some)} of them by LIKE, bare sqlite3", *scanned)
    show(
        f"  the same {len(some)} by the index", *found, note=f"{scanned[0] / found[0]:,.0f} times as fast at the median"
    )
    for name, cursor in (("first", ""), ("tenth", _tenth("parser")), ("last", search.LAST_PAGE)):
        show(f"{name} page of a common word", *quantiles(partial(find, cursor=cursor), ["parser"] * 15))
    texts = [
        "",
        "parser",
        "error",
        "type:error",
        "type:error parser",
        "session:session-77",
        "parser -token",
        *asked[:20],
    ]
    show("pages with filters", *quantiles(find, [*texts[3:7], "agent:agent-000007 cache", "after:1790200000 retry"]))
    show("facets", *quantiles(lambda text: search.facets_of(search.parse(text)), texts))
    show("histogram", *quantiles(lambda text: search.histogram_of(search.parse(text)), texts))


def index(store: Path) -> None:
    """Build the index and tell its size and how long it took."""
    index_file.delete()
    start = time.perf_counter()
    search.index_all()
    seconds = time.perf_counter() - start
    count = models.Event.objects.count()
    size = sum(path.stat().st_size for path in Path(settings.SEARCH_INDEX).parent.glob("search.db*"))
    print(f"{'index of ' + format(count, ',') + ' events':<52} {size / 1e6:9,.0f} MB beside a store of "
          f"{store.stat().st_size / 1e6:,.0f} MB; {count / seconds:,.0f} events/s", flush=True)  # fmt: skip


def triggers(home: Path) -> None:
    """Measure a foreign save of one event with and without our triggers, in a file of its own."""
    made = importlib.import_module("statestore.migrations.0005_search")
    for size in (300, 50_000, 1_000_000):
        medians = []
        for with_triggers in (False, True):
            path = home / "triggers.db"
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            orchestrator.create(path)
            with orchestrator.Orchestrator(path) as foreign:
                foreign.connection.execute("PRAGMA journal_mode = WAL")
                for statement in (*made.SQLITE_TABLES, *made.SQLITE_TRIGGERS) if with_triggers else ():
                    foreign.connection.execute(statement)
                text = "x" * size
                save = partial(foreign.save_event, text)
                medians.append(quantiles(partial(_save, save), list(range(150))))
        cost = medians[1][0] - medians[0][0]
        show(f"foreign save of {size / 1000:,.1f} KB, with triggers", *medians[1], note=f"costs {cost:+.2f} ms")


def _save(save: Callable[..., object], number: int) -> None:
    save(event_id=f"e{number % 50}")


def main(home: Path) -> None:
    """Measure search on the store of the other measurements."""
    settings.SEARCH_INDEX = str(home / "search.db")
    index(home / "store.db")
    print(f"{'':<52} {'median':>9}    {'p95':>9}    {'worst':>9}")
    answers(home / "store.db")
    triggers(home)
