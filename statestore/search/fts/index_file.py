"""The index's own file, apart from the store. It is disposable: deleted or damaged, it is built again."""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from statestore.db import vendor
from statestore.db.private_files import keep_private, make_private
from statestore.db.routers import search_index
from statestore.search.fts import last_documents, time_buckets, trigram_stats

CACHE_KB: Final = 32_000
# How much FTS5 collects in memory before it writes a segment, and how many segments it keeps before it merges them.
# While the index is built, all of them are merged once at the end; afterwards, FTS5's defaults hold.
BULK_OPTIONS: Final = {"hashsize": 64 << 20, "automerge": 0, "crisismerge": 400}
USUAL_OPTIONS: Final = {"hashsize": 1 << 20, "automerge": 4, "crisismerge": 16}
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
    "CREATE INDEX doc_agent ON doc (actor, actor_type, session)",
    "CREATE INDEX doc_git ON doc (git) WHERE git IS NOT NULL",
    "CREATE INDEX doc_cut ON doc (bytes) WHERE bytes IS NOT NULL",
    "CREATE TABLE aside (pk BLOB PRIMARY KEY) WITHOUT ROWID",
    trigram_stats.TABLE,
    *time_buckets.CREATE,
    *last_documents.CREATE,
)
# Since SQLite 3.43, the index can delete a text without keeping a second copy of it.
_CONTENTLESS: Final = ", content='', contentless_delete=1" if sqlite3.sqlite_version_info >= (3, 43) else ""
# An older SQLite cannot read an index without texts.
_TEXTS: Final = f"{'without' if _CONTENTLESS else 'with'} texts"
FORMAT: Final = f"6 {_TEXTS}"
# This one lacked only where the last documents are.
_FORMAT_BEFORE: Final = f"5 {_TEXTS}"
_TEXT: Final = f"CREATE VIRTUAL TABLE text USING fts5(content, type, session, tokenize='trigram'{_CONTENTLESS})"

_local = threading.local()

# What the index says of itself, by name: numbers and names of rows.
Meta: TypeAlias = dict[str, Any]


def path() -> Path:
    """Return the path of the index."""
    return search_index()


def reading() -> sqlite3.Connection | None:
    """Return this thread's connection for reading, or None if there is no index that this release can read."""
    file = path()
    try:
        stat = file.stat()
    except OSError:
        return None
    kept: tuple[tuple[str, int, int], sqlite3.Connection] | None = getattr(_local, "kept", None)
    identity = (str(file), stat.st_dev, stat.st_ino)
    if kept and kept[0] == identity:
        return kept[1]
    close()
    try:
        connection = _connect(file)
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


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=5, cached_statements=64)
    connection.text_factory = vendor.decoded
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def open_to_write() -> sqlite3.Connection:
    """Return the indexer's connection. Creates the file if it is missing, damaged or of another format."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It holds texts of the store: only its owner may read it.
    keep_private(str(file))
    connection = None
    try:
        connection = _connect(file)
        _upgrade(connection)
        if _is_sound(connection):
            return _prepared(connection)
    except sqlite3.DatabaseError:
        pass
    if connection is not None:
        connection.close()
    delete()
    make_private(str(file))
    connection = _prepared(_connect(file))
    with writing(connection):
        for statement in (*_TABLES, _TEXT):
            connection.execute(statement)
        set_meta(connection, format=FORMAT)
    return connection


def configure(connection: sqlite3.Connection, **options: int) -> None:
    """Set options of FTS5, which stores them in the index."""
    connection.executemany("INSERT INTO text (text, rank) VALUES (?, ?)", options.items())


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA journal_mode = WAL")
    # After a power cut, the last transactions may be missing. Either their marks are still in the store, or its token
    # differs from the index's.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _upgrade(connection: sqlite3.Connection) -> None:
    """Add what the format before this one lacked: that is sooner done than all events are indexed again."""
    if "meta" not in _tables(connection) or meta(connection, "format") != _FORMAT_BEFORE:
        return
    with writing(connection):
        for statement in (*last_documents.CREATE, last_documents.FILL):
            connection.execute(statement)
        set_meta(connection, format=FORMAT)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _is_sound(connection: sqlite3.Connection) -> bool:
    return {"meta", "doc", "text"} <= _tables(connection) and meta(connection, "format") == FORMAT


def delete() -> None:
    """Delete the index."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path()}{suffix}").unlink(missing_ok=True)


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction of the index."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the reads of the block on one snapshot of the index."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("COMMIT")


def meta(connection: sqlite3.Connection, name: str) -> object:
    """Return a value that the index keeps about itself, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def all_meta(connection: sqlite3.Connection) -> Meta:
    """Return all values that the index keeps about itself."""
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def set_meta(connection: sqlite3.Connection, **values: object) -> None:
    """Set values that the index keeps about itself."""
    connection.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values.items())


@contextmanager
def lease() -> Iterator[bool]:
    """Yield whether this process holds the indexer's lease. The system ends the lease of a process that dies."""
    file = path().with_name(f"{path().name}.lock")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
