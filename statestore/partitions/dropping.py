"""Whole months that go at once, with their partitions."""

# ruff: noqa: S608  (names that are put into SQL here are those of our own tables)

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.backends.utils import CursorWrapper

from statestore.partitions import layout
from statestore.partitions.locks import execute_patiently, soon
from statestore.partitions.months import Month

_PARTITIONS: Final = """
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
 WHERE inhparent = to_regclass(%s) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many rows a month had, and its first and last time."""

    rows: int
    first_at: int
    last_at: int


def months_of(using: str, table: str) -> list[Month]:
    """Return the months of which a table has partitions, the oldest first; none if it has no partitions."""
    if not layout.is_partitioned(using, table):
        return []
    with connections[using].cursor() as cursor:
        cursor.execute(_PARTITIONS, [table])
        found = (Month.named(str(name)) for (name,) in cursor.fetchall())
        return sorted(month for month in found if month is not None)


def drop(
    using: str, table: str, month: Month, *, may_go: Callable[[], bool], note: Callable[[Dropped], object]
) -> Dropped | None:
    """Drop the partition of a month with its rows, and return what it had; None if it had no rows, or must not go.

    `may_go` is asked, and `note` called, in the transaction in which it goes. Nothing is written to that month
    meanwhile; all other months can be.
    """
    return soon(using, lambda cursor: _drop(using, cursor, table, month, may_go, note))


def _drop(
    using: str, cursor: CursorWrapper, table: str, month: Month, may_go: Callable[[], bool],
    note: Callable[[Dropped], object],
) -> Dropped | None:  # fmt: skip
    names = layout.names_of(cursor, table)
    partition = names.month(month)
    cursor.execute(f"LOCK TABLE {partition} IN SHARE MODE")
    cursor.execute(f"SELECT count(*), coalesce(min(timestamp), 0), coalesce(max(timestamp), 0) FROM {partition}")
    gone = Dropped(*cursor.fetchone())
    if gone.rows and not may_go():
        return None
    cursor.execute(f"DELETE FROM {names.ids} USING {partition} AS gone WHERE {names.ids}.id = gone.id")
    if gone.rows:
        note(gone)
    execute_patiently(using, cursor, f"DROP TABLE {partition}")
    return gone if gone.rows else None
