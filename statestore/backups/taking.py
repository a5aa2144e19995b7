"""Taking a backup: a copy of each database, opened and compared before it gets its name."""

import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

from django.db import connections

from statestore.backups import manifest, packing, postgresql, sqlite_copy
from statestore.backups.contents import Contents
from statestore.backups.directory import Backup, being_made, newest_first, now_text
from statestore.backups.manifest import BackupFile, Manifest
from statestore.backups.verification import verify
from statestore.db import vendor
from statestore.db.routers import may_be_shared, store_alias
from statestore.errors import DatabaseError

# What is left free on the disk beside a backup.
_SPARE_BYTES: Final = 64 * 1024 * 1024


def take(directory: Path, *, pack: bool = False) -> Backup:
    """Copy both databases into a new directory within `directory`, verify the copies, and return the backup.

    The store is copied first, then our own database: a login or token in the backup may be newer than the store by the
    time that copying took. Other programs save meanwhile, as each copy is one snapshot. `pack` compresses by zstd.
    Raises DatabaseError; nothing is left behind then.
    """
    with being_made(directory) as partial:
        files = tuple(_copy(alias, name, partial, pack=pack) for alias, name in _databases().items())
        manifest.write(partial, Manifest(now_text(), files))
        problems = verify(Backup(partial))
        if problems:
            raise DatabaseError(f"The backup was not kept: {' '.join(problems)}")
    return newest_first(directory)[0]


def _databases() -> dict[str, str]:
    """Return {alias: what it is in the manifest}."""
    return {"default": "both"} if store_alias() == "default" else {store_alias(): "store", "default": "dashboard"}


def _copy(alias: str, database: str, directory: Path, *, pack: bool) -> BackupFile:
    is_sqlite = vendor.is_sqlite(connections[alias])
    path = directory / f"{'store' if database == 'both' else database}.{'db' if is_sqlite else 'dump'}"
    # Made empty and closed to others first: what writes it would leave it readable for all users.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    taken_at, began = now_text(), time.monotonic()
    expected = _copied_sqlite(alias, path) if is_sqlite else postgresql.dump(alias, path)
    # The manifest has what the original held: verifying the backup compares the copy with that.
    contents = sqlite_copy.contents_of(path) if expected is None else expected
    sqlite_copy.sync(path)
    unpacked = path.stat().st_size
    if pack and is_sqlite:  # pg_dump compresses by itself.
        path = packing.packed(path)
    return BackupFile(
        name=path.name, database=database, kind="sqlite" if is_sqlite else "postgresql", source=_source(alias),
        taken_at=taken_at, seconds=round(time.monotonic() - began, 3), bytes=path.stat().st_size,
        unpacked_bytes=unpacked, sha256=sqlite_copy.sha256_of(path), compared=expected is not None, contents=contents,
    )  # fmt: skip


def _copied_sqlite(alias: str, path: Path) -> Contents | None:
    source = Path(str(connections[alias].settings_dict["NAME"]))
    return copy_sqlite(source, path, is_shared=may_be_shared(alias))


def copy_sqlite(source: Path, target: Path, *, is_shared: bool) -> Contents | None:
    """Copy a file that may be in use into an empty one, and return what its tables held if they were read.

    Of a file that another program shares (`is_shared`) they are not, where that would keep it from saving. Raises
    DatabaseError.
    """
    try:
        _check_space(source, target.parent)
        return sqlite_copy.copy_in_one_snapshot(source, target, is_shared=is_shared)
    except (sqlite3.Error, OSError) as error:
        reason = str(error) if isinstance(error, sqlite3.Error) else str(error.strerror)
        raise DatabaseError(f"Copying {source} failed: {reason}. Nothing was changed.") from error


def _check_space(source: Path, directory: Path) -> None:
    needed, free = source.stat().st_size + _SPARE_BYTES, shutil.disk_usage(directory).free
    if free < needed:
        raise DatabaseError(
            f"A copy of {source} needs {needed / 1e6:,.0f} MB, and the disk of {directory.parent} has"
            f" {free / 1e6:,.0f} MB left. Free some space, or name another disk. Nothing was changed."
        )


def _source(alias: str) -> str:
    """Return what the copy is of, without a password."""
    settings = connections[alias].settings_dict
    if vendor.is_sqlite(connections[alias]):
        return str(settings["NAME"])
    return f"postgres://{settings['HOST'] or 'localhost'}/{settings['NAME']}"
