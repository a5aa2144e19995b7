"""Files as LangGraph's SqliteSaver writes them, of any size: its tables, its msgpack, ids that begin with a time."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgpack

from statestore.sources.readers.langgraph import GREGORIAN

BEGAN: Final = 1_795_000_000
_TABLES: Final = """
CREATE TABLE checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL, task_id TEXT NOT NULL,
    idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
"""
_PYDANTIC: Final = 5
_SYLLABLES: Final = [first + second for first in "bcdfghklmnprstvw" for second in ("a", "e", "i", "o", "u", "an", "er")]


def make(path: Path, threads: int, steps: int, words: int) -> None:
    """Write a file of threads that took turns; a step adds a message of so many words."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + _TABLES)
        add(connection, threads, range(steps), words)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def add(connection: sqlite3.Connection, threads: int, steps: range, words: int) -> None:
    """Add steps to each thread."""
    for step in steps:
        connection.executemany(
            "INSERT INTO checkpoints VALUES (?, '', ?, ?, ?, ?, ?)", _checkpoints(threads, step, words)
        )
        connection.executemany(
            "INSERT INTO writes VALUES (?, '', ?, ?, 0, 'messages', 'msgpack', ?)", _writes(threads, step)
        )


def words_of(seed: int, number: int) -> str:
    """Return a text of so many words, the same each time."""
    chance = random.Random(seed)
    return " ".join(f"{chance.choice(_SYLLABLES)}{chance.choice(_SYLLABLES)}" for _ in range(number))


def checkpoint_id(thread: int, step: int) -> str:
    """Return the id of a step: a UUID of version 6 of its time."""
    digits = f"{GREGORIAN + (BEGAN + step) * 10_000_000 + thread * 100:015x}"
    return f"{digits[:8]}-{digits[8:12]}-6{digits[12:]}-8{step % 4096:03x}-{thread:012x}"


def _checkpoints(threads: int, step: int, words: int) -> Iterator[tuple[Any, ...]]:
    metadata = json.dumps({"source": "input" if not step else "loop", "step": step - 1, "parents": {}}).encode()
    for thread in range(threads):
        found, before = checkpoint_id(thread, step), checkpoint_id(thread, step - 1) if step else None
        yield f"thread-{thread:06d}", found, before, "msgpack", _packed(found, thread, step, words), metadata


def _packed(found: str, thread: int, step: int, words: int) -> bytes:
    values: dict[str, Any] = {
        "step": step,
        "customer": f"customer {thread}",
        "messages": _messages(thread, step, words),
    }
    version = f"{step + 1:032}.{thread / 1e6:.10f}"
    seen = {"__input__": {}, "__start__": {"__start__": version}, "model": {"branch:to:model": version}}
    packed: bytes = msgpack.packb({
        "v": 4, "ts": datetime.fromtimestamp(BEGAN + step, UTC).isoformat(), "id": found, "channel_values": values,
        "channel_versions": dict.fromkeys(("__start__", "messages", "step", "branch:to:model"), version),
        "updated_channels": ["messages", "step"], "versions_seen": seen,
    })  # fmt: skip
    return packed


def _messages(thread: int, step: int, words: int) -> list[msgpack.ExtType]:
    """Return the messages of a step: the last eight of them, as a graph that trims its history keeps."""
    return [_message(thread, number, words) for number in range(max(0, step - 7), step + 1)] if words else []


def _message(thread: int, number: int, words: int) -> msgpack.ExtType:
    kind = "Human" if number % 2 == 0 else "AI"
    fields: dict[str, Any] = {
        "content": words_of(thread * 10_007 + number, words), "type": kind.lower(), "name": None,
        "id": f"message-{number}", "additional_kwargs": {}, "response_metadata": {},
    }  # fmt: skip
    name = f"{kind}Message"
    made = ("langchain_core.messages", name, fields, "model_validate_json")
    return msgpack.ExtType(_PYDANTIC, msgpack.packb(made))


def _writes(threads: int, step: int) -> Iterator[tuple[Any, ...]]:
    value = msgpack.packb(f"step {step}")
    for thread in range(threads):
        yield f"thread-{thread:06d}", checkpoint_id(thread, step), f"task-{step}", value
