"""Whether this process can do its work: its databases, their migrations, the disk."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from statestore.adoption import ownership
from statestore.adoption.status import store_status
from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError

# A restore needs twice its state and the log; below this SQLite's own clean-up fails too.
LEAST_FREE_BYTES: Final = 64 * 1024 * 1024
_BEHIND: Final = "Our own database is behind: run `manage.py migrate`."
# Our own database, once its migrations were found to be applied.
_migrated: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result for each part: empty if it is well, otherwise what is wrong."""

    parts: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether requests can be served."""
        return not any(self.parts.values())

    @property
    def problem(self) -> str:
        """What is wrong, in a line."""
        return " ".join(text for text in self.parts.values() if text)


def examine() -> Readiness:
    """Return whether requests can be served. Cheap: it is asked every few seconds."""
    return Readiness({"database": _own(), "store": _store(), "disk": _disk()})


def _own() -> str:
    name = "default"
    try:
        with translated_errors(), connections[name].cursor() as cursor:
            cursor.execute("SELECT 1")
            if name not in _migrated:
                executor = MigrationExecutor(connections[name])
                if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                    return ownership.refusal(connections[name]) or _BEHIND
                _migrated.add(name)
    except StateStoreError as error:
        return str(error)
    return ""


def _store() -> str:
    try:
        status = store_status()
        if status.is_ready:
            with translated_errors(), connections[store_alias()].cursor() as cursor:
                cursor.execute("SELECT 1 FROM agent_states LIMIT 1")
    except StateStoreError as error:
        return str(error)
    return "" if status.is_ready else f"{status.found} {status.remedy}"


def free_bytes() -> dict[str, int]:
    """Return the free space beside each database that is a file."""
    free = {}
    for alias in dict.fromkeys(("default", store_alias())):
        connection = connections[alias]
        if vendor.is_sqlite(connection):
            folder = Path(str(connection.settings_dict["NAME"])).parent
            if folder.is_dir():
                free[alias] = shutil.disk_usage(folder).free
    return free


def _disk() -> str:
    for free in free_bytes().values():
        if free < LEAST_FREE_BYTES:
            return f"The disk has {free // 1024 // 1024} MB left: free some space, or restores will be refused."
    return ""
