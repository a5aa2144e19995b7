"""A backup in the place of the live SQLite file, while no other process has that open.

The path always leads to a whole file: to the old one, then to the new one. The old one is kept beside it.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from django.db import connections

from statestore.access import audit, audit_chain
from statestore.access.audit import Actor
from statestore.backups import sqlite_copy
from statestore.backups.directory import Backup
from statestore.backups.put_back import new_copy, whole_file_of
from statestore.db import vendor
from statestore.db.sqlite import open_files
from statestore.db.transactions import writing
from statestore.errors import Conflict, DatabaseError
from statestore.models.audit import Action

# What SQLite keeps beside a file. Another file under its name must not find them.
_COMPANIONS: Final = ("-journal", "-wal", "-shm")
# The byte of the header that says how the file is written, and its value in WAL (sqlite.org/fileformat.html).
_WRITE_VERSION: Final = 18
_WAL: Final = b"\x02"


@dataclass(frozen=True, slots=True)
class Swap:
    """What was put in place: how many rows, where the file that was there is kept, and who opened that meanwhile."""

    rows: int
    kept: Path | None
    opened_by: tuple[int, ...]


def file_of(using: str) -> Path:
    """Return the file of a database. Raises Conflict on PostgreSQL."""
    if not vendor.is_sqlite(connections[using]):
        raise Conflict("A backup of PostgreSQL's goes into an empty database: --to postgres://…. Nothing was changed.")
    return Path(str(connections[using].settings_dict["NAME"])).resolve()


def swap(backup: Backup, target: Path, *, database: str = "store") -> Swap:
    """Put the copy of a database in the place of `target`, and return what was done.

    The new file is verified and compared before it gets the name; owner, rights and journal mode are those of the old
    one. Close this process's own connections to it first. Raises Conflict while another one has that open, and
    DatabaseError; nothing was changed then.
    """
    file = whole_file_of(backup, database)
    _check_closed(target)
    try:
        with new_copy(backup, file, target) as copy:
            _take_after(target, copy)
            with _locked(target):
                kept = _kept(target)
                os.replace(copy, target)
    except OSError as error:
        raise DatabaseError(f"{target} was not replaced: {error.strerror}.") from error
    sqlite_copy.sync(target.parent)
    opened_by = tuple(open_files.open_elsewhere(kept)) if kept else ()
    return Swap(sum(table.rows for table in file.contents.values()), kept, opened_by)


def _check_closed(target: Path) -> None:
    for path in (target, *(target.with_name(target.name + end) for end in _COMPANIONS)):
        with suppress(FileNotFoundError):
            open_files.check_closed(path)


def _take_after(target: Path, copy: Path) -> None:
    """Give a file the owner, the rights and the journal mode of the one that it replaces, if there is one."""
    with suppress(FileNotFoundError):
        found = target.stat()
        if (found.st_uid, found.st_gid) != (copy.stat().st_uid, copy.stat().st_gid):
            os.chown(copy, found.st_uid, found.st_gid)
        copy.chmod(stat.S_IMODE(found.st_mode))
        with target.open("rb") as file:
            file.seek(_WRITE_VERSION)
            mode = "WAL" if file.read(1) == _WAL else "DELETE"
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        sqlite_copy.sync(copy)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Be the only one in a file, its write-ahead log folded into it. One that is damaged cannot be locked, and is not.

    In WAL this finds processes, too, that this user may not see. Raises Conflict if there are any.
    """
    if not target.exists():
        yield
        return
    name = f"file:{quote(os.fsencode(target))}?mode=rw"
    with closing(sqlite3.connect(name, uri=True, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            _check_damaged(error, target)
        yield


def _check_damaged(error: sqlite3.DatabaseError, target: Path) -> None:
    """Raise what SQLite says of a file that cannot be locked, unless it is that the file is damaged."""
    code = error.sqlite_errorcode & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        raise Conflict(f"Another process has {target} open. Stop it first. Nothing was changed.") from error
    raise DatabaseError(f"{target} was not replaced: {error}.") from error


def _kept(target: Path) -> Path | None:
    """Keep a file under another name, with what SQLite left beside it, and return that name; its own one stays."""
    if not target.exists():
        kept = None
    else:
        kept = _free_name(target)
        os.link(target, kept)
    for end in _COMPANIONS:
        with suppress(FileNotFoundError):
            os.rename(f"{target}{end}", f"{kept or _free_name(target)}{end}")
    return kept


def _free_name(target: Path) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (f"{target}.replaced-{moment}{f'-{number}' if number else ''}" for number in range(1_000))
    return next(Path(name) for name in names if not os.path.lexists(name))


def note(done: Swap, backup: Backup, *, database: str, using: str, by: Actor) -> None:
    """Add the swap to the audit log of the store as it is now.

    What our own database noted of later entries is forgotten: they are in the file that was kept.
    """
    detail = {"backup": backup.name, "kept": str(done.kept or ""), "rows": done.rows}
    with writing(using):
        if database == "store":
            audit_chain.forget_later_heads(using)
        entry = audit.record(Action.REPLACE, database, by=by, row_id="", detail=detail, using=using)
    audit_chain.note_head(using, entry.pk, entry.digest or "")
