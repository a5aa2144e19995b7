"""The only file that asks which database it is talking to."""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Combinable
from django.db.utils import DatabaseError as DjangoDatabaseError
from django.db.utils import DataError, OperationalError

from statestore.errors import Busy, DatabaseError, ReadOnly, StateStoreError, TooSlow, Unavailable

# A write of ours may wait this long for the orchestrator's; it itself gives up after five.
LOCK_WAIT_SECONDS = 5
# Once a write of ours has waited this long, the next are refused at once: waiting too, they would take every thread of
# the server from those who only read.
QUEUE_SECONDS = 0.25
HURRIED_SWITCH_SECONDS = 0.0002
_SWITCH_SECONDS = sys.getswitchinterval()
_BUSY = "Another program is writing to the store and did not finish in time. Nothing was changed; try again."


def is_sqlite(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the database is an SQLite file."""
    return connection.vendor == "sqlite"


def holds_any_bytes(connection: BaseDatabaseWrapper) -> bool:
    """Return whether text columns take NUL characters, invalid UTF-8 and blobs, as SQLite's do."""
    return is_sqlite(connection)


def keeps_odd_integers(using: str) -> bool:
    """Return whether integer columns take texts and blobs, as SQLite's do."""
    return is_sqlite(connections[using])


def row_lock(using: str) -> str:
    """Return the clause that locks the rows of a SELECT; an SQLite file is locked as a whole already."""
    return "" if is_sqlite(connections[using]) else " FOR UPDATE"


def prepare_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Make a new connection read whatever bytes a text column holds, and never run what a foreign schema says."""
    if not is_sqlite(connection):
        return
    raw = connection.connection
    raw.text_factory = decoded
    raw.execute("PRAGMA trusted_schema = OFF")
    raw.execute("PRAGMA mmap_size = 0")
    if not sqlite_checkpoints_safely():
        # Never be the second checkpointer: SQLite 3.7.0-3.51.2 can then corrupt the file (sqlite.org/wal.html).
        raw.execute("PRAGMA wal_autocheckpoint = 0")


def sqlite_checkpoints_safely() -> bool:
    """Return whether this process's SQLite is free of the WAL-reset bug (fixed in 3.51.3)."""
    return sqlite3.sqlite_version_info >= (3, 51, 3)


def decoded(raw: bytes) -> str:
    """Return the text that bytes of a text column stand for, whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


class ByteLength(models.Func):
    """The size of a text in bytes, without fetching the text."""

    arity = 1
    function = "OCTET_LENGTH"
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # length() of a text counts characters and stops at a NUL; octet_length() came with SQLite 3.43.
        if sqlite3.sqlite_version_info < (3, 43):
            return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)
        return self.as_sql(compiler, connection, **context)


def byte_length(expression: str | Combinable) -> ByteLength:
    """Return the expression for a column's size in bytes."""
    return ByteLength(expression)


class _Unindexed(models.Func):
    arity = 1
    template = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
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


def upsert_many(
    using: str, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, key: str, kept: Sequence[str] = ()
) -> None:
    """Insert rows of plain values, each over one of the same key, of which the `kept` columns stay.

    One statement, compiled once: the ORM's own form would bind and check each value of each row anew.
    """
    if not rows:
        return
    fixed = {*key.split(", "), *kept}
    written = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in fixed)
    places = ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {written}"  # noqa: S608
    with connections[using].cursor() as cursor:
        cursor.executemany(sql, rows)


@contextmanager
def writing(using: str) -> Iterator[None]:
    """Run a block as one write transaction: IMMEDIATE on SQLite, bounded lock waits on PostgreSQL, errors in our words.

    The whole block is applied or none of it. It must be short: the orchestrator waits for it.
    """
    connection = connections[using]
    with translated_errors(), _turn_to_write(connection) as turn, transaction.atomic(using=using):
        turn.has_begun()
        if not is_sqlite(connection):
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
        yield


@contextmanager
def in_time(using: str, seconds: float) -> Iterator[None]:
    """Run reads that may take so long each, on PostgreSQL. Raises TooSlow where one would take longer.

    SQLite has no such bound: what reads there bounds itself.
    """
    connection = connections[using]
    if is_sqlite(connection):
        yield
        return
    with translated_errors(), transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
        yield
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


class _Turn:
    """The turn to write to an SQLite file: one thread of this process has it at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waits_since: float | None = None

    def take(self) -> None:
        """Wait for the turn. Raises Busy once its holder waits for another program, so that no queue builds up."""
        began = time.monotonic()
        while not self.lock.acquire(timeout=0.05):
            now, waits_since = time.monotonic(), self.waits_since
            is_held_up = waits_since is not None and now - waits_since > QUEUE_SECONDS
            if is_held_up or now - began > LOCK_WAIT_SECONDS:
                raise Busy(_BUSY)
        self.waits_since = time.monotonic()

    def has_begun(self) -> None:
        """Note that the file's own lock was got."""
        self.waits_since = None

    def pass_on(self) -> None:
        """Let the next one have it."""
        self.waits_since = None
        self.lock.release()


_turns: dict[str, _Turn] = {}


@contextmanager
def _turn_to_write(connection: BaseDatabaseWrapper) -> Iterator[_Turn]:
    if not is_sqlite(connection) or connection.in_atomic_block:
        yield _Turn()  # Of nobody else: the lock is had already, or there is none.
        return
    turn = _turns.setdefault(connection.alias, _Turn())
    turn.take()
    # A thread that asks for the interpreter gets it after 5 ms, at each of a write's dozen statements: beside three
    # others that render pages, a write of 5 ms held the lock for 440 ms.
    sys.setswitchinterval(HURRIED_SWITCH_SECONDS)
    try:
        yield turn
    finally:
        sys.setswitchinterval(_SWITCH_SECONDS)
        turn.pass_on()


# What SQLite and PostgreSQL say of a disk or a server, as opposed to a statement, that they cannot work with.
_OUT_OF_ORDER = ("disk i/o error", "unable to open", "malformed", "not a database", "connection", "shutting down")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors inside the block into this project's, each with what to do."""
    try:
        yield
    except StateStoreError:
        raise
    except DjangoDatabaseError as error:
        raise translate(error) from error


def translate(error: DjangoDatabaseError) -> StateStoreError:
    """Return the domain's error for one of the driver's."""
    text = str(error).lower()
    if "statement timeout" in text:
        return TooSlow("The database did not answer in time. Ask for less, or for a shorter stretch of time.")
    if isinstance(error, OperationalError | DjangoDatabaseError) and ("locked" in text or "lock timeout" in text):
        return Busy(_BUSY)
    if "readonly" in text or "read-only" in text:
        return ReadOnly("The store cannot be written: its file or directory is read-only. Nothing was changed.")
    if "disk is full" in text or "no space" in text:
        return Unavailable("The disk that holds the store is full. Nothing was changed; free space and try again.")
    if any(words in text for words in _OUT_OF_ORDER):
        return Unavailable(f"The store cannot be used as things are: {error}. Nothing was changed; run the doctor.")
    if isinstance(error, DataError):
        return DatabaseError("A value does not fit into its column. Nothing was changed.")
    return DatabaseError(f"The database refused: {error}. Nothing was changed.")


MAX_EVENT_TYPES = 200

# Walks an index from one distinct value to the next instead of reading every row.
_NEXT_PREFIX = """
WITH RECURSIVE step(n, key) AS (
    SELECT 0, (SELECT key FROM agent_states WHERE key LIKE '%%:%%' ORDER BY key LIMIT 1)
    UNION ALL
    SELECT n + 1, (
        SELECT a.key FROM agent_states a WHERE a.key >= {after} AND a.key LIKE '%%:%%' ORDER BY a.key LIMIT 1
    )
    FROM step WHERE step.key IS NOT NULL AND n < %s
)
SELECT key FROM step WHERE key IS NOT NULL
"""


def key_prefixes(using: str, limit: int) -> list[str]:
    """Return the distinct beginnings of agents' keys up to the colon, at most `limit` of them."""
    connection = connections[using]
    # ";" is the character after ":": the least key that begins with something else.
    after = "substr(step.key, 1, instr(step.key, ':') - 1)" if is_sqlite(connection) else "split_part(step.key, ':', 1)"
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_PREFIX.format(after=f"{after} || ';'"), [limit])
        return [str(key).partition(":")[0] for (key,) in cursor.fetchall()]


# No index has the time of events alone; (event_type, timestamp) has it for each type, and types are few.
_EVENT_COUNTS = """
WITH RECURSIVE step(n, kind) AS (
    SELECT 0, (SELECT min(event_type) FROM events)
    UNION ALL
    SELECT n + 1, (SELECT min(event_type) FROM events WHERE event_type > kind)
    FROM step WHERE kind IS NOT NULL AND n < %s
)
SELECT (events.timestamp - %s) / %s AS bucket, count(*)
FROM step JOIN events ON events.event_type = step.kind AND events.timestamp >= %s AND events.timestamp < %s
GROUP BY 1
"""


def event_counts(using: str, start: int, end: int, bucket_seconds: int) -> dict[int, int]:
    """Return how many events there were in each bucket of time from `start` to `end`, for up to 200 types."""
    with connections[using].cursor() as cursor:
        cursor.execute(_EVENT_COUNTS, [MAX_EVENT_TYPES, start, bucket_seconds, start, end])
        return {int(bucket): int(count) for bucket, count in cursor.fetchall()}


# Each column costs one step through the index and `most` more; a past of 100,000 rows costs what one of 1,000 does.
_BOUNDED_COUNTS = """
WITH RECURSIVE step(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n + 1 < %s)
SELECT n, (
    SELECT count(*) FROM (
        SELECT 1 FROM ({rows}) AS times WHERE instant >= %s + n * %s AND instant < %s + (n + 1) * %s LIMIT %s
    ) AS few
) FROM step
"""


def bounded_counts(
    rows: models.QuerySet[Any], column: str, *, start: int, width_seconds: int, columns: int, most: int
) -> dict[int, int]:
    """Return how many rows, up to `most`, there are in each of some equal stretches of time, those without left out."""
    if rows.query.is_empty():
        return {}
    inner, parameters = rows.order_by().values(instant=models.F(column)).query.get_compiler(rows.db).as_sql()
    times = [start, width_seconds, start, width_seconds]
    with translated_errors(), connections[rows.db].cursor() as cursor:
        cursor.execute(_BOUNDED_COUNTS.format(rows=inner), [columns, *parameters, *times, most])
        return {int(n): int(count) for n, count in cursor.fetchall() if count}
