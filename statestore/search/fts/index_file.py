"""The index's own file: disposable, never the store's. Deleted or damaged, it is simply built again."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from statestore.db import vendor
from statestore.search.fts import time_buckets, trigram_stats

CACHE_KB: Final = 32_000
# What FTS5 gathers in memory before it writes, and how many pieces it lets lie before it merges them: while all is
# indexed anew everything, to be merged once at the end; afterwards what it does by itself.
IN_BULK: Final = {"hashsize": 64 << 20, "automerge": 0, "crisismerge": 400}
BY_AND_BY: Final = {"hashsize": 1 << 20, "automerge": 4, "crisismerge": 16}
DOC_COLUMNS: Final = ("type", "actor_type", "actor", "session", "git")

_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE name (id INTEGER PRIMARY KEY, field INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (field, text))",
    "CREATE TABLE doc (docid INTEGER PRIMARY KEY, pk BLOB NOT NULL UNIQUE, type INTEGER NOT NULL,"
    " actor_type INTEGER NOT NULL, actor INTEGER NOT NULL, session INTEGER NOT NULL, git INTEGER,"
    " place INTEGER NOT NULL, hash INTEGER NOT NULL, bytes INTEGER)",
    "CREATE INDEX doc_type ON doc (type)",
    "CREATE INDEX doc_actor ON doc (actor)",
    "CREATE INDEX doc_session ON doc (session)",
    "CREATE INDEX doc_git ON doc (git) WHERE git IS NOT NULL",
    "CREATE INDEX doc_cut ON doc (bytes) WHERE bytes IS NOT NULL",
    "CREATE TABLE aside (pk BLOB PRIMARY KEY) WITHOUT ROWID",
    trigram_stats.TABLE,
    *time_buckets.CREATE,
)
# Since 3.43 the index need not keep a second copy of all texts to be able to delete one.
_CONTENTLESS: Final = ", content='', contentless_delete=1" if sqlite3.sqlite_version_info >= (3, 43) else ""
# What one SQLite library makes another, older one need not be able to read.
FORMAT: Final = f"4 {'without' if _CONTENTLESS else 'with'} texts"
_TEXT: Final = f"CREATE VIRTUAL TABLE text USING fts5(content, type, session, tokenize='trigram'{_CONTENTLESS})"

_local = threading.local()


def path() -> Path:
    """Return where the index lies."""
    return Path(settings.SEARCH_INDEX)


def reading() -> sqlite3.Connection | None:
    """Return this thread's connection for reading, or None where there is no index that this release can read."""
    where = path()
    try:
        stat = where.stat()
    except OSError:
        return None
    kept: tuple[Any, sqlite3.Connection] | None = getattr(_local, "kept", None)
    identity = (str(where), stat.st_dev, stat.st_ino)
    if kept and kept[0] == identity:
        return kept[1]
    close()
    try:
        connection = _connect(where)
        if meta(connection, "format") != FORMAT:
            connection.close()
            return None
    except sqlite3.Error:
        return None
    _local.kept = identity, connection
    return connection


def close() -> None:
    """Close this thread's connection for reading."""
    kept = getattr(_local, "kept", None)
    if kept:
        kept[1].close()
        _local.kept = None


def _connect(where: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(where, isolation_level=None, timeout=5, cached_statements=64)
    connection.text_factory = vendor.decoded
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def open_to_write() -> sqlite3.Connection:
    """Return a connection for the one who indexes; makes the file where it is missing, damaged or of another format."""
    where = path()
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = None
    try:
        connection = _connect(where)
        if _is_sound(connection):
            return _prepared(connection)
    except sqlite3.DatabaseError:
        pass
    if connection is not None:
        connection.close()
    delete()
    # It holds texts of the store: for the owner alone.
    os.close(os.open(where, os.O_CREAT | os.O_RDWR, 0o600))
    connection = _prepared(_connect(where))
    with writing(connection):
        for statement in (*_TABLES, _TEXT):
            connection.execute(statement)
        set_meta(connection, format=FORMAT)
    return connection


def configure(connection: sqlite3.Connection, **options: int) -> None:
    """Set options of FTS5, which it keeps in the index."""
    connection.executemany("INSERT INTO text (text, rank) VALUES (?, ?)", options.items())


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA journal_mode = WAL")
    # After a power cut the last changes may be missing here, never torn; their marks in the store are, too, or are
    # found by the token that no longer agrees.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _is_sound(connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return {"meta", "doc", "text"} <= tables and meta(connection, "format") == FORMAT


def delete() -> None:
    """Delete the index."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path()}{suffix}").unlink(missing_ok=True)


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Apply the whole block to the index or none of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let all reads of the block see the index as it is at the first of them."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("COMMIT")


def meta(connection: sqlite3.Connection, name: str) -> Any:
    """Return one of the notes that the index keeps about itself, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def set_meta(connection: sqlite3.Connection, **values: Any) -> None:
    """Keep notes about the index in it."""
    connection.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values.items())


@contextmanager
def lease() -> Iterator[bool]:
    """Yield whether this process is the one that may index. The system ends the lease of a process that dies."""
    where = path().with_name(f"{path().name}.lock")
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with where.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
