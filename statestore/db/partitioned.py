"""Whether events and transitions may lie in partitions, where no index keeps an id unique by itself.

Partitions have each their own index; a table of all ids keeps them unique, and ON CONFLICT does not know it. That table
is there before the partitions are: from then on each process looks up what is there, which is right with partitions
and without them.
"""

import time
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db import vendor

# Of a table that may have partitions: the table of its ids.
IDS: Final = {"events": "dash_events_ids", "state_transitions": "dash_state_transitions_ids"}
# How long a connection may go on believing that there are no partitions. Making them waits for longer.
NOTICED_SECONDS: Final = 1.0


def may_be(connection: BaseDatabaseWrapper, table: str) -> bool:
    """Return whether a table has partitions, or is being given some."""
    return table in IDS and not vendor.is_sqlite(connection) and table in _standing(connection)


def has_all_ids(connection: BaseDatabaseWrapper, table: str) -> bool:
    """Return whether the table of ids has those of all rows: there are partitions, and they are not being undone."""
    return _standing(connection).get(table, False)


def _standing(connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """Return {table: whether all ids are in the table of ids}, of the tables that have one."""
    checked: tuple[float, object, dict[str, bool]] | None = getattr(connection, "statestore_partitioned", None)
    now, database = time.monotonic(), vendor.opened(connection)
    is_known = checked is not None and checked[1] == database
    if checked is not None and is_known and (now - checked[0] < NOTICED_SECONDS or connection.needs_rollback):
        return checked[2]
    connection.ensure_connection()
    # Asked of the driver itself: it is no query of the page's.
    raw: Any = connection.connection
    found = dict(raw.execute(_STANDING, [list(IDS), list(IDS.values())]).fetchall())
    connection.statestore_partitioned = (now, database, found)  # type: ignore[attr-defined]
    return found


def forget(connection: BaseDatabaseWrapper) -> None:
    """Look again with the next write."""
    connection.statestore_partitioned = None  # type: ignore[attr-defined]


_STANDING: Final = """
SELECT name, coalesce(relkind = 'p', FALSE) AND to_regclass('dash_' || name || '_copy') IS NULL
  FROM unnest(%s::text[], %s::text[]) AS t(name, ids) LEFT JOIN pg_class AS class ON class.oid = to_regclass(name)
 WHERE to_regclass(ids) IS NOT NULL
"""
