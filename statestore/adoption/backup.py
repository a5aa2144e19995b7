"""A verified copy of a store: it appears under its final name only when it is whole, on disk and proved readable."""

import hashlib
import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from statestore.db import orchestrator_schema as schema
from statestore.errors import DatabaseError

# A store in rollback-journal mode is copied in one go or not at all; other programs may leave a better gap later.
_ATTEMPTS: Final = 8
_PAUSE_SECONDS: Final = 0.1
_PAGES_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Backup:
    """A copy and its manifest."""

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
        _sync(partial)
        digest = _sha256(partial)
        os.replace(partial, final)
        manifest = _write_manifest(final, source=str(source), sha256=digest, tables=tables)
        _sync(directory)
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
        " wait for it in rollback-journal mode. Stop the orchestrator and add --stopped"
    )


def _open(source: Path) -> sqlite3.Connection:
    name = quote(os.fsencode(source))
    connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None, timeout=5)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


class _TookTooLongError(Exception):
    """A copy was given up, so that the orchestrator does not wait for it any longer."""


def _copied_in_time(source: Path, target: Path, seconds: float) -> bool:
    """Copy the pages of a store while it cannot be written, and return whether that took no longer than allowed."""

    def give_up(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > deadline:
            raise _TookTooLongError

    with closing(_open(source)) as connection, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # Only whole copies are kept, and synced afterwards.
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        os.truncate(target, 0)  # What an earlier attempt left.
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # From here on, it cannot be written.
        deadline = time.monotonic() + seconds
        try:
            connection.backup(copy, pages=_PAGES_AT_ONCE, progress=give_up, sleep=0)
        except _TookTooLongError:
            return False
        return True


def _verified_rows(copy: Path) -> dict[str, int]:
    """Return the rows per table of a copy that passes the integrity check."""
    with closing(sqlite3.connect(f"file:{quote(os.fsencode(copy))}?mode=ro&immutable=1", uri=True)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise sqlite3.DatabaseError(f"the copy is damaged: {problems[0]}")
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        present = {row[0] for row in rows}
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in schema.TABLES
            if table in present
        }


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
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
