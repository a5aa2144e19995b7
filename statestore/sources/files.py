"""Files of other frameworks, opened so that they stay as they are, byte for byte, with nothing left beside them."""

import errno
import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from descartes_site.locations import COMMAND
from statestore.errors import DatabaseError, ValidationError
from statestore.sources import documents, real_paths
from statestore.sources.contract import Reader, Rows, Shape, Value
from statestore.sources.dialects import SQLiteDialect
from statestore.sources.readers import known_readers

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_WAL_VERSION: Final = 2
_STATEMENT_SECONDS: Final = 60.0
_STEPS_BETWEEN_LOOKS: Final = 10_000
_BUSY_SECONDS: Final = 2
_WRITE_BUSY_SECONDS: Final = 5
# A file that was written so recently may have been written again within the same tick of the file system's clock.
_TICK_NANOSECONDS: Final = 2_000_000_000
# A file that was changed so lately is being written.
WRITTEN_SECONDS: Final = 10.0
_NAMED_TABLES: Final = 8
# SQLite's extended codes say more in their upper bits.
_PRIMARY_CODE: Final = 0xFF
_DAMAGED: Final = (
    "It is damaged, or was cut off while it was copied. Copy it again while its program is stopped, with what lies"
    " beside it (-wal), or save what is left: `sqlite3 FILE .recover | sqlite3 NEW_FILE`."
)
_HELP: Final = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "Another program is writing it. Try again in a moment.",
    sqlite3.SQLITE_CANTOPEN: "Check that this user may read it and its folder.",
}
_ORCHESTRATORS: Final = {"agent_states", "state_transitions", "agent_history"}


class SourceFile(SQLiteDialect):
    """An SQLite file that is being read."""

    def __init__(self, connection: sqlite3.Connection, *, is_in_wal: bool) -> None:
        self._connection = connection
        self._is_in_wal = is_in_wal
        self._deadline = 0.0
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_LOOKS)

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Return the rows of a SELECT.

        In a file without a write-ahead log its framework waits for a reader to end, so all rows are read at once. A
        text with broken bytes cannot be asked for, and finds nothing.
        """
        self._deadline = time.monotonic() + _STATEMENT_SECONDS
        try:
            rows: Iterator[tuple[Value, ...]] = self._connection.execute(sql, list(values))
        except UnicodeEncodeError:
            return iter(())
        return rows if self._is_in_wal else iter(list(rows))


@contextmanager
def opened(path: Path) -> Iterator[SourceFile | documents.DocumentFile]:
    """Open a file for reading. Raises ValidationError, in words, for one of no known kind and for what fails."""
    try:
        if documents.is_document(path):
            yield documents.opened(path)
            return
        is_in_wal = _is_in_wal(path)
        with (
            _stable(path, is_in_wal=is_in_wal) as (place, options),
            closing(_connected(place, options, is_copy=place != path)) as connection,
        ):
            yield SourceFile(connection, is_in_wal=is_in_wal)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise ValidationError(
            f"{path.name} cannot be read: {error}. It was not changed.{_what_helps(error)}"
        ) from error
    except OSError as error:
        advice = " Check the path." if isinstance(error, FileNotFoundError) else ""
        raise ValidationError(f"{path} cannot be read: {error.strerror}.{advice}") from error


def _what_helps(error: Exception) -> str:
    """Return a sentence of what to do about an error of SQLite's, with a blank before it; "" where none is known."""
    kind = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    return f" {_HELP[kind]}" if kind in _HELP else ""


class WritableFile(SQLiteDialect):
    """A framework's file within one transaction, as readers take it, and for writing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Run a statement, and return its rows."""
        return iter(self._connection.execute(sql, list(values)).fetchall())


@contextmanager
def writing(path: Path) -> Iterator[WritableFile]:
    """Open a file that is there for one immediate transaction: all of the block is written, or nothing."""
    try:
        with real_paths.opening, closing(writable(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield WritableFile(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise DatabaseError(f"{path.name} cannot be written: {error}. Nothing was changed.") from error


def writable(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that is there."""
    name = quote(os.fsencode(path))
    with real_paths.unchanged_meanwhile(path):
        connection = sqlite3.connect(
            f"file:{name}?mode=rw", uri=True, timeout=_WRITE_BUSY_SECONDS, isolation_level=None
        )
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def stamp(path: Path) -> str:
    """Return what tells whether a file has changed: its identity, size and time, and those of its log; "" if unsure."""
    if path.is_dir():
        with suppress(ValidationError, OSError):
            return "" if is_being_written(path, _TICK_NANOSECONDS / 1e9) else documents.folder_stamp(path)
        # What is wrong with it, to open it says.
        return ""
    parts: list[int] = []
    newest = 0
    for name in (path, _beside(path, "-wal")):
        try:
            found = name.stat()
        except FileNotFoundError:
            parts.append(0)
            continue
        parts += [found.st_ino, found.st_size, found.st_mtime_ns]
        newest = max(newest, found.st_mtime_ns)
    return "" if time.time_ns() - newest < _TICK_NANOSECONDS else json.dumps(parts)


def is_being_written(path: Path, seconds: float = WRITTEN_SECONDS) -> bool:
    """Return whether a file, or its log, was changed within the last seconds."""
    newest = 0.0
    with suppress(ValidationError, OSError):
        newest = documents.newest_change(path) if path.is_dir() else 0.0
    for name in (path, _beside(path, "-wal")):
        with suppress(OSError):
            newest = max(newest, name.stat().st_mtime)
    return abs(time.time() - newest) < seconds


def is_copied_to_be_read(path: Path) -> bool:
    """Return whether a crash left a log beside a file, so that it is read from a copy."""
    return _beside(path, "-wal").exists() and not _beside(path, "-shm").exists()


def kind_of(path: Path) -> str:
    """Return what a source is besides its format: "SQLite", "JSON" or "folder of JSON"."""
    if path.is_dir():
        return "folder of JSON"
    with suppress(ValidationError, OSError):
        return "JSON" if documents.is_document(path) else "SQLite"
    return "file"


def readers_of(source: Rows, path: Path) -> Mapping[str, Reader]:
    """Return the readers that know a file, by their keys. Raises ValidationError if none does."""
    if isinstance(source, documents.DocumentFile):
        return source.readers()
    tables = source.tables()
    found = {key: reader for key, reader in known_readers("SQLite").items() if reader.recognises(tables)}
    if not found:
        raise ValidationError(f"{path.name} {_what_it_is(tables)} It was not changed.")
    return found


def _what_it_is(tables: Mapping[str, Shape]) -> str:
    if not tables:
        return "holds no tables."
    if "dash_audit" in tables:
        return "is an orchestrator's store that was adopted: STORE_URL names it to the dashboard."
    if _ORCHESTRATORS & set(tables):
        return (
            f"has tables of the orchestrator's, in another layout. `{COMMAND} adopt --dry-run FILE` says what differs."
        )
    names = ", ".join(sorted(tables)[:_NAMED_TABLES])
    known = ", ".join(sorted(reader.name for reader in known_readers("SQLite").values()))
    return f"is of no format that is known here. Its tables: {names}. Known are: {known}."


def _is_in_wal(path: Path) -> bool:
    with real_paths.opening, os.fdopen(real_paths.opened(path), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValidationError(
                f"{path.name} is not a regular file, but a pipe, a device or a socket. Write its content to a file, and"
                " open that."
            )
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC):
        looks_like = documents.what_it_is(path)
        raise ValidationError(
            f"{path.name} is neither an SQLite database nor JSON, but {looks_like} It was not changed."
        )
    # A damaged header may name the log once; SQLite would then make one.
    return _WAL_VERSION in header[18:20]


@contextmanager
def _stable(path: Path, *, is_in_wal: bool) -> Iterator[tuple[Path, str]]:
    """Yield what to open, and how, so that SQLite makes and removes no file beside the source."""
    log, shared = _beside(path, "-wal"), _beside(path, "-shm")
    if not is_in_wal:
        journal = _beside(path, "-journal")
        if journal.exists() and _is_left_half_written(path):
            with _copied(path, journal) as copy:
                yield copy, "mode=rw"
        else:
            yield path, "mode=ro"
    elif not log.exists():
        # No program has it open.
        yield path, "mode=ro&immutable=1"
    elif shared.exists():
        yield path, "mode=ro"
    else:
        # A log without its index was left by a crash, or copied along. Opening it would make the index.
        with _copied(path, log) as copy:
            yield copy, "mode=ro"


@contextmanager
def _copied(path: Path, beside: Path) -> Iterator[Path]:
    """Yield a copy of a file with what lies beside it."""
    with tempfile.TemporaryDirectory(prefix="source-") as folder:
        for name in (path, beside):
            with os.fdopen(real_paths.opened(name), "rb") as source, (Path(folder) / name.name).open("wb") as copy:
                _copy(source, copy)
        yield Path(folder) / path.name


def _copy(source: BinaryIO, copy: BinaryIO) -> None:
    try:
        shutil.copyfileobj(source, copy)
        copy.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValidationError(
            f"A program left a log beside this file, so it is read from a copy, for which {tempfile.gettempdir()} has"
            " no room. It was not changed. Free some space there, or let TMPDIR name another folder."
        ) from error


def _is_left_half_written(path: Path) -> bool:
    """Return whether a program was killed while it wrote: its journal takes that back, which a reader may not do."""
    try:
        with closing(_connected(path, "mode=ro", is_copy=False)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        return "readonly" in str(error)
    return False


def _connected(path: Path, options: str, *, is_copy: bool) -> sqlite3.Connection:
    with nullcontext() if is_copy else real_paths.unchanged_meanwhile(path):
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?{options}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
