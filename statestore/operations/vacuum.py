"""VACUUM of an SQLite store: only when asked, with the space that it needs, and with no other process in the file."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections

from statestore.db import sizes, vendor
from statestore.db.errors import translated_errors
from statestore.db.sqlite import open_files
from statestore.errors import Conflict

# What a disk that is not fast writes and reads back; only for the word on how long it takes.
_BYTES_PER_SECOND: Final = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Needed:
    """What a VACUUM needs and gives: the file's bytes, those in free pages, free space, seconds."""

    bytes: int
    free_page_bytes: int
    needed_bytes: int
    disk_free_bytes: int
    seconds: int


def needed(using: str) -> Needed:
    """Return what a VACUUM needs. Raises Conflict where none can be done."""
    connection = connections[using]
    if not vendor.is_sqlite(connection):
        raise Conflict("PostgreSQL uses free space again by itself; its own VACUUM FULL gives it back to the disk.")
    size = sizes.database_bytes(using)
    free = shutil.disk_usage(_path(using).parent).free
    # The copy, and a write-ahead log or a journal of the same size (sqlite.org/lang_vacuum.html).
    return Needed(size, sizes.free_page_bytes(using), 2 * size, free, max(1, 2 * size // _BYTES_PER_SECOND))


def vacuum(using: str, *, is_stopped: bool = False) -> tuple[int, int]:
    """Do it, and return the bytes before and after. Raises Conflict where it must not be done; nothing is changed."""
    plan = needed(using)
    if not settings.STORE_IS_EMBEDDED and not is_stopped:
        raise Conflict(
            "An orchestrator's save would wait until the end, and fail. Stop it, then say --stopped. Nothing was done."
        )
    if plan.disk_free_bytes < plan.needed_bytes:
        raise Conflict(
            f"VACUUM needs {plan.needed_bytes:,} bytes of free space, and the disk has {plan.disk_free_bytes:,}."
            " Nothing was done."
        )
    open_files.check_closed(_path(using))
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()
    return plan.bytes, sizes.database_bytes(using)


def _path(using: str) -> Path:
    return Path(str(connections[using].settings_dict["NAME"]))


def words(plan: Needed) -> str:
    """Return in a sentence what a VACUUM needs and gives."""
    seconds = f"{plan.seconds} s" if plan.seconds < 120 else f"{plan.seconds // 60} min"
    return (
        f"The store has {plan.bytes:,} bytes, {plan.free_page_bytes:,} of them in free pages. VACUUM needs"
        f" {plan.needed_bytes:,} bytes of free space ({plan.disk_free_bytes:,} are free) and about {seconds}; nothing"
        " can be saved meanwhile."
    )
