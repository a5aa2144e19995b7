"""The orchestrator's agent history, which it may keep in tables of its own, as the lines of an export.

Its events become events of their agent, and its snapshots, those that hold a state, become snapshots. What they have
besides (tags, the event before, the git commit of a snapshot) goes into the event's metadata and the description.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from statestore.db import vendor
from statestore.db.fields import NonInteger, StoredBlob
from statestore.errors import Unavailable
from statestore.import_export import codec

_READ_ROWS: Final = 500
_EVENTS: Final = (
    "event_id", "event_type", "timestamp", "session_id", "agent_id", "event_data", "git_commit_hash", "created_at",
    "tags", "parent_event_id", "metadata",
)  # fmt: skip
_SNAPSHOTS: Final = ("snapshot_id", "agent_id", "agent_state", "description", "timestamp", "git_commit")
_TABLES: Final = {"agent_history_events": _EVENTS, "history_snapshots": _SNAPSHOTS}


def is_in(path: Path) -> bool:
    """Return whether a file is an SQLite database with an agent history."""
    try:
        with closing(_open(path)) as connection:
            return bool(_tables(connection))
    except sqlite3.Error:
        return False


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of an export that has the history's rows. The file is only read, some rows at a time."""
    digest = hashlib.sha256()
    for line in _lines(path):
        digest.update(line)
        yield line
    yield codec.line({"end": {"sha256": digest.hexdigest()}})


def _lines(path: Path) -> Iterator[bytes]:
    yield codec.line(codec.FORMAT)
    try:
        with closing(_open(path)) as connection:
            tables = _tables(connection)
            # The order in which an export has them.
            if "history_snapshots" in tables:
                yield from map(_snapshot_line, _rows(connection, "history_snapshots", "agent_state IS NOT NULL"))
            if "agent_history_events" in tables:
                yield from map(_event_line, _rows(connection, "agent_history_events", "1"))
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"The agent history in {path} cannot be read: {error}.") from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(os.fsencode(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = vendor.decoded
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _tables(connection: sqlite3.Connection) -> set[str]:
    """Return those of the history's tables that are there with their columns; a view that poses as one may not end."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    present = {name for (name,) in found} & set(_TABLES)
    return {table for table in present if set(_TABLES[table]) <= _columns(connection, table)}


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _rows(connection: sqlite3.Connection, table: str, condition: str) -> Iterator[dict[str, Any]]:
    columns = _TABLES[table]
    sql = (
        f"SELECT rowid, {', '.join(columns)} FROM {table} WHERE {condition} AND rowid > ?"  # noqa: S608
        f" ORDER BY rowid LIMIT {_READ_ROWS}"
    )
    last = -(2**63)
    while rows := connection.execute(sql, (last,)).fetchall():
        last = rows[-1][0]
        for row in rows:
            values = (StoredBlob(value) if isinstance(value, bytes) else value for value in row[1:])
            yield dict(zip(columns, values, strict=True))


def _event_line(row: dict[str, Any]) -> bytes:
    beside = {"tags": _json(row["tags"]), "parent_event_id": row["parent_event_id"], "metadata": _json(row["metadata"])}
    kept = {name: value for name, value in beside.items() if value not in (None, [])}
    return _line("events", {
        "id": row["event_id"], "event_type": row["event_type"], "timestamp": _seconds(row["timestamp"]),
        "session_id": row["session_id"] or "", "actor_type": "Agent", "actor_id": row["agent_id"],
        "content": row["event_data"], "metadata": json.dumps(kept) if kept else None,
        "git_commit": row["git_commit_hash"], "created_at": _seconds(row["created_at"]),
    })  # fmt: skip


def _snapshot_line(row: dict[str, Any]) -> bytes:
    commit = f"commit {row['git_commit']}" if row["git_commit"] else ""
    return _line("state_snapshots", {
        "id": row["snapshot_id"], "agent_id": row["agent_id"], "state_data": row["agent_state"],
        "description": " — ".join(filter(None, [row["description"], commit])) or None,
        "created_at": _seconds(row["timestamp"]), "expires_at": None,
    })  # fmt: skip


def _line(table: str, values: dict[str, object]) -> bytes:
    return codec.row_line(table, tuple(values), tuple(values.values()))


def _seconds(value: object) -> object:
    return value if isinstance(value, int) else NonInteger(value)


def _json(text: str | None) -> object:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
