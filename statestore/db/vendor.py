"""The only file that asks which database it is talking to."""

import sqlite3
from collections.abc import Callable
from operator import methodcaller
from typing import Any, TypeAlias

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler

from statestore.db.postgresql import schemas

# A row as the driver returns it.
SqlRow: TypeAlias = tuple[Any, ...]
# A statement, or part of one, and its parameters.
Sql: TypeAlias = tuple[str, Any]


def is_sqlite(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the database is an SQLite file."""
    return connection.vendor == "sqlite"


def schema_fault(connection: BaseDatabaseWrapper, *, is_store: bool) -> str:
    """Return in sentences why this user cannot make our tables in a PostgreSQL database, or ""."""
    return "" if is_sqlite(connection) else schemas.fault(connection, is_store=is_store)


def holds_any_bytes(connection: BaseDatabaseWrapper) -> bool:
    """Return whether text columns take NUL characters, invalid UTF-8 and blobs, as SQLite's do."""
    return is_sqlite(connection)


def keeps_sessions(connection: BaseDatabaseWrapper) -> bool:
    """Return whether what a session sets or locks stays with the connection; not behind a pooler of transactions."""
    return not connection.settings_dict.get("IS_POOLED")


def keeps_odd_integers(using: str) -> bool:
    """Return whether integer columns take texts and blobs, as SQLite's do."""
    return is_sqlite(connections[using])


def row_lock(using: str) -> str:
    """Return the clause that locks the rows of a SELECT; an SQLite file is locked as a whole already."""
    return "" if is_sqlite(connections[using]) else " FOR UPDATE"


def prepare_connection(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Prepare a new connection: read any bytes in text columns, and distrust the triggers and views of the store."""
    if not is_sqlite(connection):
        return
    raw = connection.connection
    raw.text_factory = decoded
    # Programs that agents can reach write the store, its schema too. That of our own database is ours, and its files
    # are closed to others. Its CHECKs call json_valid(), which SQLite 3.40 (Debian 12) allows trusted schemas alone.
    raw.execute(f"PRAGMA trusted_schema = {'ON' if connection.alias == 'default' else 'OFF'}")
    raw.execute("PRAGMA mmap_size = 0")
    if not sqlite_checkpoints_safely():
        # Never be the second checkpointer: SQLite 3.7.0-3.51.2 can then corrupt the file (sqlite.org/wal.html).
        raw.execute("PRAGMA wal_autocheckpoint = 0")


def sqlite_checkpoints_safely() -> bool:
    """Return whether this process's SQLite is free of the WAL-reset bug (fixed in 3.51.3)."""
    return sqlite3.sqlite_version_info >= (3, 51, 3)


# Decodes the bytes of a text column; invalid UTF-8 becomes surrogates. In C: it is called for each text that is read.
decoded: Callable[[bytes], str] = methodcaller("decode", "utf-8", "surrogateescape")


class ByteLength(models.Func):
    """The size of a text in bytes, without fetching the text."""

    arity = 1
    function = "OCTET_LENGTH"
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Sql:
        # length() of a text counts characters and stops at a NUL; octet_length() came with SQLite 3.43.
        if sqlite3.sqlite_version_info < (3, 43):
            return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)
        return self.as_sql(compiler, connection, **context)


def byte_length(expression: str | Combinable) -> ByteLength:
    """Return the expression for a column's size in bytes."""
    return ByteLength(expression)


def length_sql(connection: BaseDatabaseWrapper, column: str) -> str:
    """Return the SQL for the bytes of a column's text."""
    if is_sqlite(connection) and sqlite3.sqlite_version_info < (3, 43):
        return f'LENGTH(CAST("{column}" AS BLOB))'
    return f'OCTET_LENGTH("{column}")'


def opened(connection: BaseDatabaseWrapper) -> object:
    """Return what is another one after a connection has opened another database: of a file, the open file."""
    if is_sqlite(connection):
        connection.ensure_connection()
        return connection.connection
    settings = connection.settings_dict
    return settings["NAME"], settings["HOST"], settings["PORT"]


def table_exists(connection: BaseDatabaseWrapper, table: str) -> bool:
    """Return whether there is a table, asked of the driver itself: it is no query of the page's."""
    raw: Any = connection.connection
    if is_sqlite(connection):
        return raw.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None
    return raw.execute("SELECT to_regclass(%s)", (table,)).fetchone()[0] is not None


class _Unindexed(models.Func):
    arity = 1
    template = "%(expressions)s"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Sql:
        # sqlite.org/optoverview.html: a unary plus keeps a term from choosing an index.
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


def unindexed(column: str) -> models.Func:
    """Return a column as an expression that no index is chosen for, where the order has a better one."""
    return _Unindexed(models.F(column))


_SMALL_LETTERS = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


def holds(connection: BaseDatabaseWrapper, sql: str, text: str) -> tuple[str, str]:
    """Return the condition that a text occurs in what `sql` gives, ASCII letters in either case, and its pattern."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    if is_sqlite(connection):
        return f"{sql} LIKE %s ESCAPE '\\'", pattern
    # In the collation "C", only ASCII letters have another case: the same answers as SQLite's LIKE.
    return f'lower({sql} COLLATE "C") LIKE %s', pattern.translate(_SMALL_LETTERS)
