"""Verified copies of SQLite files that may be in use.

A copy appears under its final name only when it is whole, on disk and proved readable.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from statestore.backups import contents
from statestore.backups.contents import Contents
from statestore.db import orchestrator_schema as schema
from statestore.errors import DatabaseError

# In rollback-journal mode a read of ours keeps the orchestrator's save waiting; it may wait half a second at most.
BLOCKING_SECONDS: Final = 0.4
# A store in that mode is copied in one go or not at all; other programs may leave a better gap later.
_ATTEMPTS: Final = 8
_PAUSE_SECONDS: Final = 0.1
_PAGES_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Backup:
    """A copy of a file before adoption changes it, and its manifest."""

    path: Path
    manifest: Path
    sha256: str
    size: int


def take_backup(source: Path, directory: Path, *, seconds: float | None = None) -> Backup:
    """Copy a store that may be in use, verify the copy, and return it.

    `seconds` bounds the copying, during which a store in rollback-journal mode cannot be written. Raises DatabaseError;
    nothing is left behind then.
    """
    final = _free_name(directory, source.stem)
    partial = final.with_name(f".{final.name}.partial")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made empty and closed to others first: VACUUM INTO would create it readable for everybody.
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(source, partial, seconds)
        tables = _verified_rows(partial)
        sync(partial)
        digest = sha256_of(partial)
        os.replace(partial, final)
        manifest = _write_manifest(final, source=str(source), sha256=digest, tables=tables)
        sync(directory)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"The backup into {directory} failed: {_reason(error)}. Nothing was changed.") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return Backup(final, manifest, digest, final.stat().st_size)


def _reason(error: sqlite3.Error | OSError) -> str:
    return str(error) if isinstance(error, sqlite3.Error) else str(error.strerror)


def _free_name(directory: Path, stem: str) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (directory / f"{stem}-{moment}{f'-{number}' if number else ''}.db" for number in range(1_000))
    return next(name for name in names if not os.path.lexists(name))


def _copy(source: Path, target: Path, seconds: float | None) -> None:
    if seconds is None:
        with closing(_open(source)) as connection:
            connection.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(target),))
        return
    for attempt in range(_ATTEMPTS):
        if _copied_in_time(source, target, seconds):
            return
        # The next moment may be a better one: the pages are in memory now, and other programs may rest.
        time.sleep(_PAUSE_SECONDS * attempt)
    size = source.stat().st_size / 1_000_000
    raise sqlite3.OperationalError(
        f"it has {size:,.0f} MB, and copying takes longer than the {seconds:.1f} s that the orchestrator's saves may"
        " wait for it in rollback-journal mode. Stop the orchestrator and add --stopped, or switch it to WAL"
    )


def _open(source: Path) -> sqlite3.Connection:
    name = quote(os.fsencode(source))
    connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None, timeout=5)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _begin_snapshot(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # The first read begins it.


class _TookTooLongError(Exception):
    """A copy was given up, so that the orchestrator does not wait for it any longer."""


def _copied_in_time(source: Path, target: Path, seconds: float) -> bool:
    """Copy the pages of a store while it cannot be written, and return whether that took no longer than allowed."""

    def give_up(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > deadline:
            raise _TookTooLongError

    with closing(_open(source)) as connection:
        os.truncate(target, 0)  # What an earlier attempt left.
        _begin_snapshot(connection)  # From here on, it cannot be written.
        deadline = time.monotonic() + seconds
        try:
            _copy_pages(connection, target, give_up)
        except _TookTooLongError:
            return False
        return True


def _copy_pages(source: sqlite3.Connection, target: Path, progress: Callable[[int, int, int], object]) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # Only whole copies are kept, and synced afterwards.
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=progress, sleep=0)


def _verified_rows(copy: Path) -> dict[str, int]:
    """Return the rows per table of a copy that passes the integrity check."""
    with opened_copy(copy) as connection:
        check_integrity(connection)
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        present = {row[0] for row in rows}
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in schema.TABLES
            if table in present
        }


@contextmanager
def opened_copy(copy: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a file that no program writes; nothing is written, and no log left beside it."""
    name = quote(os.fsencode(copy))
    with closing(sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def check_integrity(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if SQLite finds the file damaged."""
    problems = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if problems not in (["ok"], [b"ok"]):
        problem = problems[0].decode("utf-8", "replace") if isinstance(problems[0], bytes) else problems[0]
        raise sqlite3.DatabaseError(f"the copy is damaged: {problem}")


def contents_of(copy: Path) -> Contents:
    """Return what the tables of a copy hold, once it has passed the integrity check. Raises sqlite3.Error."""
    with opened_copy(copy) as connection:
        check_integrity(connection)
        return contents.of_sqlite(connection)


def copy_in_one_snapshot(source: Path, target: Path, *, is_shared: bool) -> Contents | None:
    """Copy a file into an empty one, and return what its tables held in the same snapshot.

    In WAL, no writer waits for it. Otherwise the file cannot be written meanwhile: if another program shares it, it is
    copied within the time that a save may wait, in one of a few tries, and None is returned, since its tables are not
    read for as long. Raises sqlite3.Error.
    """
    with closing(_open(source)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal" or not is_shared:
            _begin_snapshot(connection)
            _copy_pages(connection, target, lambda *_: None)
            return contents.of_sqlite(connection)
    _copy(source, target, BLOCKING_SECONDS)
    return None


def sync(path: Path) -> None:
    """Write a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file that is no open database."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(backup: Path, **facts: object) -> Path:
    """Write what the copy holds beside it, as JSON that a person can read and `sha256sum` can confirm."""
    manifest = backup.with_name(backup.name + ".json")
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(
        {"format": 1, "file": backup.name, "bytes": backup.stat().st_size, "made_at": made_at, **facts}, indent=2
    )
    with os.fdopen(os.open(manifest, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return manifest
