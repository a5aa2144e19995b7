"""The measurements of mirrors: how fast checkpoints come here, the first page of a large source, and what they take."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections
from django.test import Client

from statestore import models, search
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.management.commands.open import FIRST_READ_SECONDS
from statestore.models.sources import Source
from statestore.sources import adding, locations, mirror
from tests.bench import langgraph_files
from tests.bench.figures import show, show_rate, show_size, timed

# BENCH_THREADS makes the large source smaller, for a quick look.
_THREADS: Final = int(os.environ.get("BENCH_THREADS", "10000"))
_STEPS: Final = 100
_ITEMS: Final = 5_000
_CHUNK: Final = 400


def measure(home: Path, client: Client) -> None:
    """Mirror three sources, each removed afterwards with its file."""
    settings.VAR_DIR = home / "var"
    _mirroring(home)
    _large_source(home, client)
    _chat(home)


def _mirroring(home: Path) -> None:
    """Mirror checkpoints of 3 KB, in the processor's time: the machine may have more to do."""
    path = home / "checkpoints.sqlite"
    _fresh(path, lambda: langgraph_files.make(path, threads=100, steps=50, words=30))
    source = adding.add_source(path, using=store_alias())
    began = time.process_time()
    done = mirror.sync(source, using=store_alias())
    seconds = time.process_time() - began
    bare = _bare_seconds(path, home / "bare.sqlite")
    show_rate("sources: checkpoints of 3 KB, mirrored", done.steps / seconds, "checkpoints", bare=seconds / bare)
    _forget(source, path)


def _bare_seconds(path: Path, other: Path) -> float:
    """Return how long it takes to read the same rows as JSON and to write each twice, as a transition has them."""
    other.unlink(missing_ok=True)
    began = time.process_time()
    with closing(sqlite3.connect(path)) as read, closing(sqlite3.connect(other)) as written:
        written.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, before TEXT, after TEXT)")
        for number, (row_id, data) in enumerate(read.execute("SELECT checkpoint_id, checkpoint FROM checkpoints")):
            text = json.dumps(data.decode("latin-1"))
            written.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", [row_id, text, text])
            if number % _CHUNK == 0:
                written.commit()
        written.commit()
    other.unlink()
    return time.process_time() - began


def _large_source(home: Path, client: Client) -> None:
    """Open a source of 1,000,000 checkpoints as `open` does, and show its first page; then look for what is new."""
    path = home / "large.sqlite"
    _fresh(path, lambda: langgraph_files.make(path, threads=_THREADS, steps=_STEPS, words=0))
    began = time.perf_counter()
    source = adding.add_source(path, using=store_alias())
    ends: list[float] = []

    def go_on() -> bool:
        ends.append(time.perf_counter() + FIRST_READ_SECONDS)
        return time.perf_counter() < ends[0]

    mirror.sync(source, using=store_alias(), go_on=go_on)
    page = client.get("/agents/", {"namespace": source.name})
    seconds = time.perf_counter() - began
    assert page.content.count(b"data-row") >= mirror.GLANCED_THREADS
    name = f"sources: first page of {_THREADS * _STEPS:,} checkpoints"
    show(name, seconds * 1000, seconds * 1000)
    source.stamp = _settled_stamp(path)
    show("sources: look at a source without news", *timed(lambda: mirror.sync(source, using=store_alias()), 100))
    _forget(source, path)


def _settled_stamp(path: Path) -> str:
    """Return the stamp of a file that was not written lately, as it is once a mirror has come to its end."""
    os.utime(path, (langgraph_files.BEGAN, langgraph_files.BEGAN))
    return locations.of(str(path)).stamp()


def _chat(home: Path) -> None:
    """Mirror one long session of the OpenAI Agents SDK, and say how much room it takes."""
    path = home / "chat.sqlite"
    _fresh(path, lambda: _make_chat(path))
    # What waits for the search index is gone once that has read it; it is a file of its own.
    search.index_all()
    before = _store_bytes()
    source = adding.add_source(path, using=store_alias())
    done = mirror.sync(source, using=store_alias())
    assert done.events == _ITEMS, source.problem
    search.index_all()
    show_size(f"sources: states of a chat of {_ITEMS:,} items in the mirror", _state_bytes(source))
    show_size(f"sources: chat of {_ITEMS:,} items in the mirror", _store_bytes() - before)
    _forget(source, path)


def _make_chat(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
            " updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);"
            "CREATE TABLE agent_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,"
            " message_data TEXT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,"
            " FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id) ON DELETE CASCADE);"
            "INSERT INTO agent_sessions (session_id) VALUES ('chat');"
        )
        connection.executemany(
            "INSERT INTO agent_messages (session_id, message_data) VALUES ('chat', ?)", ([item] for item in _items())
        )
        connection.commit()


def _items() -> Iterator[str]:
    for number in range(_ITEMS):
        text = langgraph_files.words_of(number, 30)
        yield json.dumps({"role": "assistant" if number % 2 else "user", "content": text})


def _state_bytes(source: Source) -> int:
    """Return how many bytes the states of a source's one agent take, here and in the archive."""
    (agent,) = models.AgentState.objects.filter(agent_id__startswith=f"{source.name}/")
    frames = models.ArchiveFrame.objects.filter(agent_id=agent.agent_id).bytes().frames
    rows = models.Transition.objects.of_agent(agent.agent_id)
    packed = models.Transition.objects.packed().values_list("pk", flat=True)
    whole = rows.exclude(pk__in=list(packed)).values_list("state_before", "state_after")
    return len(agent.state_data) + frames + sum(len(text) for texts in whole for text in texts)


def _store_bytes() -> int:
    """Return how many bytes of the store are in use."""
    with connections[store_alias()].cursor() as cursor:
        pages, free, size = (cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    return int((pages - free) * size)


_PAGES: Final = ("page_count", "freelist_count", "page_size")


def _fresh(path: Path, make: Callable[[], None]) -> None:
    path.unlink(missing_ok=True)
    make()


def _forget(source: Source, path: Path) -> None:
    adding.remove_source(source.pk, using=store_alias(), by=SYSTEM)
    path.unlink()
