"""Marks: which events changed since they were indexed. Triggers in the store, made by migration 0005, set them."""

# ruff: noqa: S608  (names and conditions that are put into SQL here are constants of ours)

from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore.db import transactions
from statestore.db.errors import translated_errors
from statestore.db.fields import StoredBlob, text_bytes

TRIGGERS: Final = (
    "dash_dirty_insert",
    "dash_dirty_replace",
    "dash_dirty_update",
    "dash_dirty_move",
    "dash_dirty_delete",
)
# Names of rows go in and out in bytes: b"t" and a text, or b"b" and a blob, whatever characters are in it.
_PK: Final = "typeof({column}) = 'blob', CAST({column} AS BLOB)"


@dataclass(frozen=True, slots=True)
class LogStatus:
    """Whether triggers set marks, the token of the indexer that cleared marks last, and the time of the oldest mark."""

    is_marking: bool
    token: str | None
    oldest: int | None


def pk_bytes(is_blob: Any, raw: bytes | None) -> bytes:
    """Return a row's id as the index keeps it."""
    return (b"b" if is_blob else b"t") + (raw or b"")


def pk_of(name: bytes) -> str:
    """Return a row's id as the models read it."""
    return StoredBlob(name[1:]) if name[:1] == b"b" else name[1:].decode("utf-8", "surrogateescape")


def name_of(pk: str) -> bytes:
    """Return the name in the index of an id that a model read."""
    return (b"b" if isinstance(pk, StoredBlob) else b"t") + text_bytes(pk)


def status(using: str) -> LogStatus:
    """Return the status of the change log."""
    names = ", ".join(f"'{name}'" for name in TRIGGERS)
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
            f" AND name IN ({names})), (SELECT token FROM dash_index), (SELECT min(at) FROM (SELECT at FROM dash_dirty"
            " LIMIT 1000))"
        )
        triggers, token, oldest = cursor.fetchone()
    return LogStatus(triggers == len(TRIGGERS), token, oldest)


def marked(using: str, limit: int) -> list[tuple[bytes, int]]:
    """Return some rows that changed since they were indexed, each with the generation of its mark."""
    sql = f"SELECT {_PK.format(column='pk')}, generation FROM dash_dirty LIMIT %s"
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(sql, [limit])
        return [(pk_bytes(is_blob, raw), generation) for is_blob, raw, generation in cursor.fetchall()]


def clear(using: str, seen: list[tuple[bytes, int]], token: str) -> None:
    """Take away marks whose rows have not changed since they were seen, and leave the token of who did."""
    with transactions.writing(using), connections[using].cursor() as cursor:
        for name, generation in seen:
            place = "%s" if name[:1] == b"b" else "CAST(%s AS TEXT)"
            cursor.execute(
                f"DELETE FROM dash_dirty WHERE pk = {place} AND generation = %s",
                [name[1:], generation],
            )
        cursor.execute(
            "INSERT INTO dash_index (id, token) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET token = excluded.token",
            [token],
        )
