"""Whether this process can do its work: its databases, their migrations, the disk."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from descartes_site.locations import COMMAND
from statestore.adoption import ownership
from statestore.adoption.status import store_status
from statestore.db import damage, replica, vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import (
    chosen_name,
    has_replica,
    is_chosen,
    primary_alias,
    read_replica,
    reading_primary,
    store_alias,
)
from statestore.errors import StateStoreError
from statestore.operations import schema

# A restore needs twice its state and the log; below this SQLite's own clean-up fails too.
LEAST_FREE_BYTES: Final = 64 * 1024 * 1024
_BEHIND: Final = f"Our own database is behind: run `{COMMAND} migrate`."
# A probe has its own limit, often a few seconds; a part that answers later than this is out of order.
PATIENCE_SECONDS: Final = 2.0
# So many missing tables and columns are named.
NAMED: Final = 5
# Our own database, once its migrations were found to be applied.
_migrated: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result for each part: empty if it is well, otherwise what is wrong; `note` is what does not stop requests."""

    parts: dict[str, str]
    note: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether requests can be served."""
        return not any(self.parts.values())

    @property
    def problem(self) -> str:
        """What is wrong, in a line."""
        return " ".join(text for text in self.parts.values() if text)


class _Look:
    """One look at one part, by a thread of its own: what hangs is that thread, not the probe."""

    def __init__(self, name: str, examine_part: Callable[[], str]) -> None:
        self._name = name
        self.deadline = time.monotonic() + PATIENCE_SECONDS
        self._found: Future[str] = Future()
        run = partial(copy_context().run, self._run, examine_part)  # In the store that was chosen here.
        threading.Thread(target=run, name="readiness", daemon=True).start()

    def _run(self, examine_part: Callable[[], str]) -> None:
        try:
            found = examine_part()
            connections.close_all()  # This thread's own.
            self._found.set_result(found)
        except BaseException as error:
            self._found.set_exception(error)

    @property
    def is_over(self) -> bool:
        """Whether the part was examined to the end."""
        return self._found.done()

    def found(self) -> str:
        """Return what is wrong with the part, at the latest when the time is up."""
        try:
            return self._found.result(max(0.0, self.deadline - time.monotonic()))
        except TimeoutError:
            return f"The {self._name} did not answer within {PATIENCE_SECONDS:g} s."


# A look that hangs is the answer to later probes too: no second thread is sent after the first.
_looks: Final[dict[tuple[str, str], _Look]] = {}
_starting: Final = threading.Lock()


def examine() -> Readiness:
    """Return whether requests can be served, within PATIENCE_SECONDS. Cheap: it is asked every few seconds."""
    parts: dict[str, Callable[[], str]] = {"database": _own, "disk": _disk}
    if is_chosen():
        parts["store"] = _store
    with _starting:
        looks = {name: _look(name, examine_part) for name, examine_part in parts.items()}
    note = replica.standing_of(primary_alias()).note if has_replica() else ""
    return Readiness({name: look.found() for name, look in looks.items()}, note)


def _look(name: str, examine_part: Callable[[], str]) -> _Look:
    """Return the look at a part that is under way, or a new one. Our own database is the same for all stores."""
    key = ("" if name == "database" else chosen_name(), name)
    if key not in _looks or _looks[key].is_over:
        _looks[key] = _Look(name, examine_part)
    return _looks[key]


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
        return _changed(name)
    except StateStoreError as error:
        return str(error)


def _store() -> str:
    """Return what is wrong with the server that pages read."""
    with reading_primary():
        if has_replica() and replica.is_readable(primary_alias()):
            read_replica()
        return _read_store()


def _read_store() -> str:
    try:
        status = store_status()
        if status.is_ready:
            with translated_errors(), connections[store_alias()].cursor() as cursor:
                cursor.execute("SELECT 1 FROM agent_states LIMIT 1")
            return _changed(store_alias())
    except StateStoreError as error:
        return str(error)
    return f"{status.found} {status.remedy}"


def _changed(alias: str) -> str:
    """Return what another program took away from a database, or that its pages are damaged."""
    with translated_errors():
        lost = schema.missing(connections[alias])
        if lost:
            return f"{_names(lost)} missing. Run `{COMMAND} doctor`, then put a backup in its place."
        return damage.present(connections[alias])


def _names(lost: Sequence[str]) -> str:
    shown = ", ".join(lost[:NAMED])
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return f"{shown[0].upper()}{shown[1:]}{more} {'is' if len(lost) == 1 else 'are'}"


def free_bytes() -> dict[str, int]:
    """Return the free space beside each database that is a file."""
    free = {}
    for alias in dict.fromkeys(("default", *([store_alias()] if is_chosen() else []))):
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
