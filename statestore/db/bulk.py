"""Many rows at once: by COPY on PostgreSQL, by one prepared statement on SQLite."""

# ruff: noqa: S608  (names that are put into SQL here are those of our own tables and columns)

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import connections

from statestore.db import vendor

# Indexes that a constraint made stay: rows are looked up by them.
_INDEXES: Final = """
SELECT index.relname, pg_get_indexdef(index.oid)
  FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_class AS whole ON whole.oid = indrelid
 WHERE whole.relname = ANY(%s) AND pg_table_is_visible(whole.oid) AND NOT indisunique
"""
_SEQUENCE: Final = """
SELECT setval(pg_get_serial_sequence('"{table}"', '{column}'), max("{column}")) FROM "{table}" HAVING count(*) > 0
"""


def insert(using: str, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of plain values, none of which is there."""
    listed = ", ".join(f'"{column}"' for column in columns)
    with connections[using].cursor() as cursor:
        if vendor.is_sqlite(connections[using]):
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f'INSERT INTO "{table}" ({listed}) VALUES ({places})', rows)
            return
        copied = cursor.cursor.copy(f'COPY "{table}" ({listed}) FROM STDIN')
        with connections[using].wrap_database_errors, copied as copy:
            for row in rows:
                copy.write_row(row)


def dropped_indexes(using: str, tables: Sequence[str]) -> tuple[str, ...]:
    """Drop the indexes that no constraint needs, and return the statements that make them again; none on SQLite."""
    if vendor.is_sqlite(connections[using]):
        return ()
    with connections[using].cursor() as cursor:
        cursor.execute(_INDEXES, [list(tables)])
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
    return tuple(sql.replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1) for _, sql in indexes)


def execute(using: str, statements: Iterable[str]) -> None:
    """Execute statements, one after the other."""
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def count_on(using: str, columns: Iterable[tuple[str, str]]) -> None:
    """Let PostgreSQL count on from the greatest value in columns that it counts by itself, each a (table, column)."""
    if not vendor.is_sqlite(connections[using]):
        execute(using, (_SEQUENCE.format(table=table, column=column) for table, column in columns))
