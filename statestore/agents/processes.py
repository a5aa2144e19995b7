"""The agents that `descartes ps` lists, from a table of their own that `descartes init` makes; only read here."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.db import connections

from statestore.agents import limits
from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.fields import NonInteger, StoredBlob
from statestore.db.sqlite.base import Identity, identity_of
from statestore.errors import StateStoreError

_COLUMNS: Final = ("id", "name", "status", "model_backend", "started_at", "completed_at", "task")


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the table. Times are seconds, as they are stored."""

    id: str
    name: str
    status: str
    model_backend: str
    started_at: int | None
    completed_at: int | None
    task: str


def newest(using: str) -> list[Process]:
    """Return the agents that were started last, up to PROCESSES; none where the store has no such table."""
    connection = connections[using]
    if not vendor.is_sqlite(connection):
        return []
    name = str(connection.settings_dict["NAME"])
    if not _has_table(using, name, identity_of(name)):
        return []
    sql = f"SELECT {', '.join(_COLUMNS)} FROM agents ORDER BY started_at DESC, rowid DESC LIMIT %s"  # noqa: S608
    with translated_errors(), connection.cursor() as cursor:
        cursor.execute(sql, [limits.PROCESSES])
        return [Process(*map(_value, row)) for row in cursor.fetchall()]  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def _has_table(using: str, _name: str, _file: Identity | None) -> bool:
    """Return whether a file has the table. `init` makes it before anything else, so it is asked once for each file."""
    try:
        with translated_errors(), connections[using].cursor() as cursor:
            cursor.execute("SELECT name FROM pragma_table_info('agents')")
            columns = {name for (name,) in cursor.fetchall()}
            cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'agents' AND type = 'table'")
            return bool(cursor.fetchone()[0]) and set(_COLUMNS) <= columns
    except StateStoreError:
        return False


def _value(raw: object) -> object:
    if isinstance(raw, bytes):
        return StoredBlob(raw)
    return raw if raw is None or isinstance(raw, int | str) else NonInteger(raw)
