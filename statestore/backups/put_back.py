"""Putting a backup back as a new file or database, never over one that exists; and the drill that tries it."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statestore.backups import postgresql, sqlite_copy
from statestore.backups.contents import differences
from statestore.backups.directory import Backup
from statestore.backups.manifest import BackupFile
from statestore.backups.verification import unpacked, verify
from statestore.errors import Conflict, DatabaseError


def restore_to_file(backup: Backup, target: Path, *, database: str = "store") -> BackupFile:
    """Write the copy of a database, `store` or `dashboard`, as a new SQLite file, and return what was written.

    The backup is verified before, the new file is compared after. It appears under its name when it is whole. Raises
    Conflict if the file exists, and DatabaseError.
    """
    if os.path.lexists(target):
        raise Conflict(f"{target} exists. Nothing was changed. Name a file that does not.")
    file = whole_file_of(backup, database)
    try:
        _write(backup, file, target)
    except OSError as error:
        raise DatabaseError(f"{target} was not written: {error.strerror}.") from error
    return file


def whole_file_of(backup: Backup, database: str) -> BackupFile:
    """Return the SQLite file of a backup that holds a database, once the backup is verified. Raises DatabaseError."""
    file = _file_of(backup, database, "sqlite")
    _check_whole(backup)
    return file


def _check_whole(backup: Backup) -> None:
    if problems := verify(backup):
        raise DatabaseError(f"{backup.path} is damaged: {' '.join(problems)} Nothing was changed. Use another backup.")


def _file_of(backup: Backup, database: str, kind: str) -> BackupFile:
    file = backup.manifest.file_of(database)
    if file is None:
        raise DatabaseError(f"{backup.path} has no copy of the {database}.")
    if file.kind != kind:
        form = "an SQLite file: name a path" if file.kind == "sqlite" else "PostgreSQL's: name the URL of an empty one"
        raise DatabaseError(f"The {database} in {backup.path} is {form} with --to.")
    return file


def _write(backup: Backup, file: BackupFile, target: Path) -> None:
    with new_copy(backup, file, target) as copy:
        os.link(copy, target)  # Unlike a rename, it fails if the name was taken meanwhile.
        sqlite_copy.sync(target.parent)


@contextmanager
def new_copy(backup: Backup, file: BackupFile, target: Path) -> Iterator[Path]:
    """Yield a copy of a backup's file beside `target`, compared and on disk; it is gone afterwards under this name.

    Raises DatabaseError if it differs.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    os.close(descriptor)
    copy = Path(name)
    try:
        with unpacked(backup, file) as plain:
            shutil.copyfile(plain, copy)
        if faults := _faults(copy, file):
            raise DatabaseError(f"{target} was not written: {' '.join(faults)}")
        sqlite_copy.sync(copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _faults(copy: Path, file: BackupFile) -> list[str]:
    try:
        return differences(file.contents, sqlite_copy.contents_of(copy))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return [f"{copy.name} is damaged: {error}."]


def restore_to_database(backup: Backup, alias: str, *, database: str = "store") -> BackupFile:
    """Write the copy of a database into the empty PostgreSQL database of an alias, all of it or nothing.

    Raises Conflict if it has tables, and DatabaseError.
    """
    file = _file_of(backup, database, "postgresql")
    if postgresql.contents_of_database(alias):
        raise Conflict("That database has tables. Nothing was changed. Name an empty one.")
    _check_whole(backup)
    postgresql.restore(backup.path / file.name, alias)
    if faults := differences(file.contents, postgresql.contents_of_database(alias)):
        raise DatabaseError(f"The restored database differs from the backup: {' '.join(faults)}")
    return file


def drill(backup: Backup) -> list[str]:
    """Restore each file of a backup into a scratch file and compare it; return what is wrong, and note the result.

    A dump of PostgreSQL's is read to its end and compared; it is not loaded into a server.
    """
    problems = verify(backup)
    if not problems:
        # On the backups' own disk: one in memory may be too small.
        with tempfile.TemporaryDirectory(prefix=".drill-", dir=backup.path.parent) as scratch:
            for file in backup.manifest.files:
                if file.kind == "sqlite":
                    problems += _tried(backup, file, Path(scratch) / f"{file.database}.db")
    backup.note_drilled(problems)
    return problems


def _tried(backup: Backup, file: BackupFile, target: Path) -> list[str]:
    try:
        _write(backup, file, target)
    except (DatabaseError, OSError) as error:
        return [str(error)]
    return []
