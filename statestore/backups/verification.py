"""Verifying a backup: each file is opened, read to its end, and compared with the manifest."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statestore.backups import packing, postgresql, sqlite_copy
from statestore.backups.contents import Contents, differences
from statestore.backups.directory import Backup
from statestore.backups.manifest import BackupFile
from statestore.db.routers import store_alias
from statestore.errors import DatabaseError


def verify(backup: Backup) -> list[str]:
    """Return in sentences what is wrong with a backup, nothing if it is whole; the result is noted with it."""
    try:
        problems = [problem for file in backup.manifest.files for problem in _faults(backup, file)]
    except DatabaseError as error:
        problems = [str(error)]
    backup.note_verified(problems)
    return problems


def _faults(backup: Backup, file: BackupFile) -> list[str]:
    path = backup.path / file.name
    try:
        if path.stat().st_size != file.bytes:
            return [f"{file.name} has {path.stat().st_size:,} bytes instead of {file.bytes:,}."]
        if sqlite_copy.sha256_of(path) != file.sha256:
            return [f"{file.name} is damaged: its SHA-256 is not that of the manifest."]
        with unpacked(backup, file) as plain:
            found = contents_of(plain, file.kind)
    except OSError as error:
        return [f"{file.name} cannot be read: {error.strerror}."]
    except DatabaseError as error:
        return [f"{file.name}: {error}"]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return [f"{file.name} is damaged: {error}."]
    return [f"{file.name}: {fault}" for fault in differences(file.contents, found)]


@contextmanager
def unpacked(backup: Backup, file: BackupFile) -> Iterator[Path]:
    """Yield the path of a file without compression; it is gone afterwards if it had to be unpacked."""
    path = backup.path / file.name
    if not file.is_packed:
        yield path
        return
    descriptor, name = tempfile.mkstemp(prefix=".unpacked-", dir=backup.path)
    os.close(descriptor)
    try:
        packing.unpack(path, Path(name), size=file.unpacked_bytes)
        yield Path(name)
    finally:
        os.unlink(name)


def contents_of(path: Path, kind: str) -> Contents:
    """Return what the tables of a copy hold, after reading all of it. Raises DatabaseError and sqlite3.Error."""
    return sqlite_copy.contents_of(path) if kind == "sqlite" else postgresql.contents_of(path, store_alias())
