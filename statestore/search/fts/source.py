"""Events as the indexer reads them from the store: as bytes, valid or not, and by short reads."""

# ruff: noqa: S608  (only constants of ours are put into SQL)

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.vendor import SqlRow
from statestore.search import limits
from statestore.search.fts.change_log import key_bytes
from statestore.search.times import StoredTime

_SIZE: Final = "octet_length(content)" if sqlite3.sqlite_version_info >= (3, 43) else "length(CAST(content AS BLOB))"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is stored. `content` is the part that is indexed, `size` that of all of it."""

    key: bytes
    timestamp: StoredTime
    rowid: int
    type: bytes
    actor_type: bytes
    actor: bytes
    session: bytes
    git: bytes | None
    content: bytes
    size: int
    hash: int  # of all that is indexed, and of what the event is sorted by


def _hash(order: tuple[StoredTime, ...], parts: Iterable[bytes]) -> int:
    digest = hashlib.blake2b(repr(order).encode(), digest_size=8)
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return int.from_bytes(digest.digest(), "big", signed=True)


_ROWS: Final = (
    "SELECT typeof(id) = 'blob', CAST(id AS BLOB), timestamp, rowid, CAST(event_type AS BLOB),"
    " CAST(actor_type AS BLOB), CAST(actor_id AS BLOB), CAST(session_id AS BLOB), CAST(git_commit AS BLOB),"
    f" substr(CAST(content AS BLOB), 1, {limits.INDEXED_BYTES}), {_SIZE} FROM events WHERE "
)
_SIZES: Final = f"SELECT rowid, {_SIZE} FROM events WHERE "


def _query(using: str, sql: str, parameters: Sequence[Any]) -> list[SqlRow]:
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _event(row: SqlRow) -> StoredEvent:
    is_blob, pk, timestamp, rowid, kind, actor_type, actor, session, git, content, size = row
    texts = (kind or b"", actor_type or b"", actor or b"", session or b"")
    content, size = content or b"", size or 0
    digest = _hash((timestamp, rowid, size), (*texts, git or b"", content))
    return StoredEvent(key_bytes(is_blob, pk), timestamp, rowid, *texts, git, content, size, digest)


def _key_condition(keys: Sequence[bytes]) -> tuple[str, list[bytes]]:
    """Return the condition for the rows of some keys, and its parameters."""
    places = ", ".join("%s" if key[:1] == b"b" else "CAST(%s AS TEXT)" for key in keys)
    return f"id IN ({places})", [key[1:] for key in keys]


def by_keys(using: str, keys: Sequence[bytes]) -> Iterator[list[StoredEvent]]:
    """Return those of some events that exist, in chunks."""
    for part in batched(keys, limits.CHUNK_ROWS):
        condition, parameters = _key_condition(part)
        yield from _read(using, _query(using, _SIZES + condition, parameters))


def before(using: str, rowid: int) -> tuple[list[StoredEvent], int | None]:
    """Return the events inserted last before a rowid, and the rowid to go on from, or None at the end."""
    sizes = _query(using, f"{_SIZES} rowid < %s ORDER BY rowid DESC LIMIT {limits.CHUNK_ROWS}", [rowid])
    chunk = _affordable(sizes)
    if not chunk:
        return [], None
    last = chunk[-1][0]
    rows = _query(using, f"{_ROWS} rowid BETWEEN %s AND %s", [last, chunk[0][0]])
    return [_event(row) for row in rows], None if len(chunk) == len(sizes) < limits.CHUNK_ROWS else last


def after(using: str, rowid: int) -> list[StoredEvent]:
    """Return the events inserted first after a rowid."""
    chunk = _affordable(_query(using, f"{_SIZES} rowid > %s ORDER BY rowid LIMIT {limits.CHUNK_ROWS}", [rowid]))
    if not chunk:
        return []
    return [_event(row) for row in _query(using, f"{_ROWS} rowid BETWEEN %s AND %s", [chunk[0][0], chunk[-1][0]])]


def _affordable(sizes: Iterable[tuple[int, int | None]]) -> list[tuple[int, int]]:
    """Return the first rows whose contents fit into one read, at least one."""
    chunk: list[tuple[int, int]] = []
    total = 0
    for rowid, size in sizes:
        total += size or 0
        if chunk and total > limits.CHUNK_BYTES:
            break
        chunk.append((rowid, size or 0))
    return chunk


def _read(using: str, sizes: list[SqlRow]) -> Iterator[list[StoredEvent]]:
    left = [(rowid, size) for rowid, size in sizes]
    while left:
        chunk = _affordable(left)
        left = left[len(chunk) :]
        places = ", ".join(str(int(rowid)) for rowid, _ in chunk)
        yield [_event(row) for row in _query(using, f"{_ROWS} rowid IN ({places})", [])]


def positions(using: str, keys: Sequence[bytes]) -> dict[bytes, tuple[StoredTime, int]]:
    """Return {key: (timestamp, rowid)} of those of some events that exist."""
    positions: dict[bytes, tuple[StoredTime, int]] = {}
    for part in batched(keys, limits.CHUNK_ROWS):
        condition, parameters = _key_condition(part)
        sql = f"SELECT typeof(id) = 'blob', CAST(id AS BLOB), timestamp, rowid FROM events WHERE {condition}"
        for is_blob, pk, timestamp, rowid in _query(using, sql, parameters):
            positions[key_bytes(is_blob, pk)] = timestamp, rowid
    return positions


def last_row(using: str) -> tuple[int, bytes] | None:
    """Return the greatest rowid and its event's key, or None if there are no events."""
    return row_at(using, None)


def row_at(using: str, rowid: int | None) -> tuple[int, bytes] | None:
    """Return a row's rowid and key, or None if it does not exist."""
    where, parameters = ("WHERE rowid = %s", [rowid]) if rowid is not None else ("", [])
    sql = f"SELECT rowid, typeof(id) = 'blob', CAST(id AS BLOB) FROM events {where} ORDER BY rowid DESC LIMIT 1"
    rows = _query(using, sql, parameters)
    return (rows[0][0], key_bytes(rows[0][1], rows[0][2])) if rows else None
