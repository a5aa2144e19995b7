"""Many rows at once: by COPY on PostgreSQL, by one prepared statement on SQLite."""

# ruff: noqa: S608  (names that are put into SQL here are those of our own tables and columns)

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from django.db import Error, connections, transaction
from django.db.backends.utils import CursorWrapper

from statestore.db import listening, partitioned, vendor

# The values of rows, in the order of the columns that are named with them.
Rows: TypeAlias = Sequence[Sequence[Any]]
EVENTS: Final = "events"
# Fewer are written as quickly one by one: each copy has its own price.
_COPIED_ROWS: Final = 50
# With GIN pending lists of 8 MB, which a migration sets, and enough work_mem to merge a whole one, trigram indexes cost
# a sixth less than with PostgreSQL's defaults of 4 MB.
_INDEXING: Final = """
SELECT set_config('work_mem', '32MB', TRUE) WHERE pg_size_bytes(current_setting('work_mem')) < 33554432
"""
# How often it is looked up again what is there.
_TRIES: Final = 5
# Indexes that a constraint made stay: rows are looked up by them.
_INDEXES: Final = """
SELECT index.relname, pg_get_indexdef(index.oid)
  FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_class AS whole ON whole.oid = indrelid
 WHERE whole.relname = ANY(%s) AND pg_table_is_visible(whole.oid) AND NOT indisunique
"""
_SEQUENCE: Final = """
SELECT setval(pg_get_serial_sequence('"{table}"', '{column}'), max("{column}")) FROM "{table}" HAVING count(*) > 0
"""


def insert(using: str, table: str, columns: Sequence[str], rows: Rows) -> None:
    """Insert rows of plain values, none of which is there."""
    listed = ", ".join(f'"{column}"' for column in columns)
    with connections[using].cursor() as cursor:
        if vendor.is_sqlite(connections[using]):
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f'INSERT INTO "{table}" ({listed}) VALUES ({places})', rows)
            return
        if table == EVENTS and len(rows) >= _COPIED_ROWS:
            cursor.execute(_INDEXING)
        _copy(using, cursor, f'COPY "{table}" ({listed}) FROM STDIN', rows)


def upsert(
    using: str,
    table: str,
    columns: Sequence[str],
    rows: Rows,
    *,
    key: str,
    kept: Sequence[str] = (),
    are_new: bool = False,
) -> None:
    """Insert rows of plain values, each over one of the same key, of which the `kept` columns stay.

    `key` names the columns of the key, separated by commas. `are_new`: the caller has just generated the keys, so
    none of them can exist. Call it inside a transaction.
    """
    if not rows:
        return
    if table == EVENTS:
        listening.say(using)
    if are_new and len(rows) >= _COPIED_ROWS:
        insert(using, table, columns, rows)
        return
    if partitioned.may_be(connections[using], table):
        _write_looked_up(using, table, columns, rows, key=key, kept=kept)
        return
    keys = key.split(", ")
    written = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in {*keys, *kept})
    end = f"ON CONFLICT ({key}) DO UPDATE SET {written}"
    if len(rows) < _COPIED_ROWS or not _may_copy(using):
        # One statement, compiled once: the ORM's own form would bind and check each value of each row again.
        places = ", ".join(["%s"] * len(columns))
        with connections[using].cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) {end}", rows)
        return
    # One statement cannot write a row twice: the last one of a key counts, in the place of the first.
    read_key = itemgetter(*(columns.index(column) for column in keys))
    last = {read_key(row): row for row in rows}
    if len(keys) > 1 or not _insert_new(using, table, columns, last, key=key):
        _upsert_copied(using, table, ", ".join(columns), list(last.values()), end)


def _insert_new(
    using: str, table: str, columns: Sequence[str], by_key: Mapping[object, Sequence[object]], *, key: str
) -> bool:
    """Insert rows and return True, unless one of their keys is there: then nothing is written.

    As most rows are new, they are copied to where they belong, which takes half as long as by way of another table.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" WHERE "{key}" = ANY(%s))', [list(by_key)])
        if cursor.fetchone()[0]:
            return False
    try:
        with transaction.atomic(using=using):
            insert(using, table, columns, list(by_key.values()))
    except Error as error:
        if not _has_met_another(error):
            raise
        return False
    return True


def insert_missing(using: str, table: str, columns: Sequence[str], rows: Rows, *, key: str) -> None:
    """Insert rows of plain values; one whose key is there stays as it is. Call it inside a transaction."""
    if table == EVENTS:
        listening.say(using)
    if partitioned.may_be(connections[using], table):
        _write_looked_up(using, table, columns, rows, key=key, kept=columns)
        return
    listed, places = ", ".join(f'"{column}"' for column in columns), ", ".join(["%s"] * len(columns))
    with connections[using].cursor() as cursor:
        cursor.executemany(
            f'INSERT INTO "{table}" ({listed}) VALUES ({places}) ON CONFLICT DO NOTHING', list(map(tuple, rows))
        )


def _write_looked_up(
    using: str, table: str, columns: Sequence[str], rows: Rows, *, key: str, kept: Sequence[str]
) -> None:
    """Insert the rows whose key is not there, and write the others over those that are, but for the `kept` columns.

    Another process may insert or move one of them meanwhile: then all are looked up again.
    """
    place, written = columns.index(key), [column for column in columns if column != key and column not in kept]
    by_key: dict[object, Sequence[object]] = {}
    for row in rows:
        # Where nothing is written over another row, the first one of a key counts; otherwise the last one.
        by_key[row[place]] = row if written else by_key.get(row[place], row)
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic(using=using):
                times = _present(using, table, key, list(by_key))
                insert(using, table, columns, [row for row in by_key.values() if row[place] not in times])
                _update(using, table, columns, by_key, times, written=written)
            return
        except (_Moved, Error) as error:
            if not tries_left or not (isinstance(error, _Moved) or _has_met_another(error)):
                raise


class _Moved(Exception):
    """A row is no longer where it was looked up."""


def _has_met_another(error: Error) -> bool:
    """Return whether another process has just inserted a key, or moved a row to another partition."""
    return getattr(error.__cause__, "sqlstate", "") in {"23505", "40001"}


def _present(using: str, table: str, key: str, keys: list[object]) -> dict[object, int]:
    """Return {key: time} of those that are there, in their order: two that write the same lock one after the other.

    The time names the partition; without it all of them would be searched, and planned for.
    """
    source = partitioned.IDS[table] if partitioned.has_all_ids(connections[using], table) else table
    with connections[using].cursor() as cursor:
        cursor.execute(f'SELECT "{key}", timestamp FROM "{source}" WHERE "{key}" = ANY(%s) ORDER BY 1', [keys])
        return dict(cursor.fetchall())


def _update(
    using: str,
    table: str,
    columns: Sequence[str],
    by_key: Mapping[object, Sequence[Any]],
    times: Mapping[object, int],
    *,
    written: Sequence[str],
) -> None:
    """Write over rows, found by key and time. Raises _Moved if one has gone or moved meanwhile."""
    if not times or not written:
        return
    places = [columns.index(column) for column in written]
    assigned = ", ".join(f'"{column}" = %s' for column in written)
    values = [(*(by_key[key][place] for place in places), key, at) for key, at in times.items()]
    with connections[using].cursor() as cursor:
        cursor.executemany(f'UPDATE "{table}" SET {assigned} WHERE id = %s AND timestamp = %s', values)
        if cursor.rowcount != len(values):
            raise _Moved


def _may_copy(using: str) -> bool:
    """Return whether rows can be copied into a table of a transaction: a database may grant no such tables."""
    if vendor.is_sqlite(connections[using]):
        return False
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT has_database_privilege(current_database(), 'TEMPORARY')")
        return bool(cursor.fetchone()[0])


def _upsert_copied(using: str, table: str, columns: str, rows: Rows, end: str) -> None:
    """Copy rows into a table of this transaction alone, and from there over those of the same key."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE dash_copied ON COMMIT DROP AS SELECT {columns} FROM {table} LIMIT 0")
        _copy(using, cursor, f"COPY dash_copied ({columns}) FROM STDIN", rows)
        if table == EVENTS:
            cursor.execute(_INDEXING)
        cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM dash_copied {end}")
        cursor.execute("DROP TABLE dash_copied")


def _copy(using: str, cursor: CursorWrapper, statement: str, rows: Rows) -> None:
    with connections[using].wrap_database_errors, cursor.cursor.copy(statement) as copy:
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
