"""Damaged pages that a statement has met: looking for them takes as long as reading the whole file."""

import time
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db import vendor

# PostgreSQL cannot be asked whether all its pages are sound; what was met is told for so long.
_TOLD_SECONDS: Final = 600
# By alias: what was said of the damage, and when.
_met: Final[dict[str, tuple[str, float]]] = {}


def note(alias: str, message: str) -> None:
    """Note that a statement met a damaged page."""
    _met[alias] = message, time.monotonic()


def forget() -> None:
    """Forget all that was met."""
    _met.clear()


def present(connection: BaseDatabaseWrapper) -> str:
    """Return what is known of damaged pages, or nothing. A file is read as a whole only if damage was met before."""
    message, at = _met.get(connection.alias, ("", 0.0))
    if message and _is_over(connection, at):
        _met.pop(connection.alias, None)
        return ""
    return message


def _is_over(connection: BaseDatabaseWrapper, at: float) -> bool:
    if not vendor.is_sqlite(connection):
        return time.monotonic() - at > _TOLD_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0] != "wal":
            # A long read would make the orchestrator's saves fail.
            return time.monotonic() - at > _TOLD_SECONDS
        cursor.execute("PRAGMA quick_check(1)")
        return bool(cursor.fetchone()[0] == "ok")
