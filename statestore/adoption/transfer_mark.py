"""The mark of a database that a transfer fills: while it is there, the store is not served.

It is a table of one row, which says where the rows come from and which indexes are made again at the end.
"""

# ruff: noqa: S608  (the name of the table is ours)

import json
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db import vendor

TABLE: Final = "dash_transfer"


@dataclass(frozen=True)
class Mark:
    """What an unfinished transfer has noted: the place that it reads, and the statements that make the indexes."""

    source: str
    indexes: tuple[str, ...] = ()


def found(connection: BaseDatabaseWrapper) -> Mark | None:
    """Return the mark of an open database, None if no transfer fills it."""
    if not vendor.table_exists(connection, TABLE):
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT source, indexes FROM {TABLE}")
        row = cursor.fetchone()
    return Mark(row[0], tuple(json.loads(row[1]))) if row else None


def put(alias: str, mark: Mark) -> None:
    """Mark a database. Call it in a transaction."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (source TEXT NOT NULL, indexes TEXT NOT NULL)")
        cursor.execute(f"DELETE FROM {TABLE}")
        cursor.execute(
            f"INSERT INTO {TABLE} (source, indexes) VALUES (%s, %s)", [mark.source, json.dumps(mark.indexes)]
        )


def remove(alias: str) -> None:
    """Take the mark away: the transfer has ended, and the store may be served."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
