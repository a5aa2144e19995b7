"""The change log: triggers in the store, made by migration 0005, mark events that changed since they were indexed."""

# ruff: noqa: S608  (only constants of ours are put into SQL)

from dataclasses import dataclass
from typing import Final

from django.db import connections

from statestore.db import transactions
from statestore.db.errors import translated_errors
from statestore.db.fields import StoredBlob, text_bytes
from statestore.errors import Conflict

TRIGGERS: Final = (
    "dash_dirty_insert",
    "dash_dirty_replace",
    "dash_dirty_update",
    "dash_dirty_move",
    "dash_dirty_delete",
)
# An event's key is its id in bytes: b"t" and a text, valid or not, or b"b" and a blob.
_PK: Final = "typeof({column}) = 'blob', CAST({column} AS BLOB)"


class StoreReplaced(Conflict):
    """The store's file was replaced by another, or by an older copy of itself, since its marks were read."""


@dataclass(frozen=True, slots=True)
class LogStatus:
    """Whether triggers set marks, the token of the indexer that cleared marks last, and the time of the oldest mark."""

    is_marking: bool
    token: str | None
    oldest: int | None


def key_bytes(is_blob: bool, raw: bytes | None) -> bytes:
    """Return the key of an id as SQLite stores it."""
    return (b"b" if is_blob else b"t") + (raw or b"")


def pk_of(key: bytes) -> str:
    """Return the id of a key as models read it."""
    return StoredBlob(key[1:]) if key[:1] == b"b" else key[1:].decode("utf-8", "surrogateescape")


def key_of(pk: str) -> bytes:
    """Return the key of an id as models read it."""
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
    """Return the keys of some events that changed since they were indexed, each with the generation of its mark."""
    sql = f"SELECT {_PK.format(column='pk')}, generation FROM dash_dirty LIMIT %s"
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(sql, [limit])
        return [(key_bytes(is_blob, raw), generation) for is_blob, raw, generation in cursor.fetchall()]


def clear(using: str, marks: list[tuple[bytes, int]], token: str, *, instead_of: str | None) -> None:
    """Delete marks that were not set again since they were read, and leave the indexer's token instead of its last.

    Raises StoreReplaced if the store has another token: it is not the one in which the marks were read.
    """
    with transactions.writing(using), connections[using].cursor() as cursor:
        cursor.execute("SELECT token FROM dash_index")
        row = cursor.fetchone()
        if (row[0] if row else None) != instead_of:
            raise StoreReplaced("The store was replaced while its events were indexed.")
        for key, generation in marks:
            place = "%s" if key[:1] == b"b" else "CAST(%s AS TEXT)"
            cursor.execute(
                f"DELETE FROM dash_dirty WHERE pk = {place} AND generation = %s",
                [key[1:], generation],
            )
        cursor.execute(
            "INSERT INTO dash_index (id, token) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET token = excluded.token",
            [token],
        )
