"""A verified copy of a store: it appears under its final name only when it is whole, on disk and proved readable."""

import hashlib
import json
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from statestore.db import orchestrator_schema as schema
from statestore.errors import DatabaseError


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
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = _free_name(directory, source.stem)
    partial = final.with_name(f".{final.name}.partial")
    try:
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
        raise DatabaseError(f"The backup into {directory} failed: {error}. Nothing was changed.") from error
    finally:
        partial.unlink(missing_ok=True)
    return Backup(final, manifest, digest, final.stat().st_size)


def _free_name(directory: Path, stem: str) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (directory / f"{stem}-{moment}{f'-{number}' if number else ''}.db" for number in range(1_000))
    return next(name for name in names if not name.exists())


def _copy(source: Path, target: Path, seconds: float | None) -> None:
    with closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        if seconds is not None:
            deadline = time.monotonic() + seconds
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)
        try:
            connection.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise sqlite3.OperationalError(
                "the copy took so long that the orchestrator would wait for it. Try again, or stop the orchestrator and"
                " add --stopped"
            ) from error


def _verified_rows(copy: Path) -> dict[str, int]:
    """Return the rows per table of a copy that passes the integrity check."""
    with closing(sqlite3.connect(f"file:{quote(str(copy))}?mode=ro&immutable=1", uri=True)) as connection:
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
