"""Partitions of the present month and of those to come, made before a row needs them."""

from django.db.backends.utils import CursorWrapper

from statestore.partitions import layout, limits
from statestore.partitions.layout import Names
from statestore.partitions.locks import soon
from statestore.partitions.months import Month, coming


def make_coming(using: str, now: int) -> int:
    """Make the partitions of the coming months that are missing, and return how many were."""
    made = 0
    for table in layout.TABLES:
        if layout.is_partitioned(using, table):
            for month in coming(now, limits.COMING_MONTHS):
                made += soon(using, lambda cursor, table=table, month=month: _make(cursor, table, month))  # type: ignore[misc]
    return made


def _make(cursor: CursorWrapper, table: str, month: Month) -> bool:
    """Make the partition of a month, unless it is there; rows of its time that came before it move into it."""
    names = layout.names_of(cursor, table)
    name = names.month(month)
    if layout.kind_of(cursor, name):
        return False
    for statement in (
        f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE",
        f"LOCK TABLE {names.other} IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE)",
        _moved(names, name, month),
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({month.start}) TO ({month.end})",
    ):
        cursor.execute(statement)
    return True


def _moved(names: Names, name: str, month: Month) -> str:
    return (
        f"WITH moved AS (DELETE FROM {names.other} WHERE timestamp >= {month.start} AND timestamp < {month.end}"  # noqa: S608
        f" RETURNING *) INSERT INTO {name} SELECT * FROM moved"
    )
