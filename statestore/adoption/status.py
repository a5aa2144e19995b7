"""Whether the configured store can be used, and if not, what is wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseError as DjangoDatabaseError

from descartes_site.locations import COMMAND
from statestore.adoption import ownership, schema_detection, transfer_mark
from statestore.db import shell, vendor
from statestore.db.errors import FileClosed, FileIsLink
from statestore.db.routers import chosen_name, store_alias
from statestore.db.sqlite.base import Identity, identity_of, is_out_of_reach

State = Literal["ready", "half filled", "behind", "ahead", "not adopted", "missing", "unreadable"]


@dataclass(frozen=True)
class StoreStatus:
    """Whether the store can be used. `found` says what it is, `remedy` what to do about it."""

    state: State
    found: str = ""
    remedy: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether pages that read the store can be shown."""
        return self.state == "ready"


# Databases that were ready once, each with the file that it was: looking again would cost each request a query.
_ready: Final[dict[str, object]] = {}


def store_status(using: str | None = None) -> StoreStatus:
    """Return whether the store can be used. Cheap: a file that was ready once is not looked at again."""
    using = using or store_alias()
    present = _database(using)
    if _ready.get(using) == present:
        return StoreStatus("ready")
    forget_store_status()
    status = _look(connections[using], present[0])
    if status.is_ready:
        _ready[using] = present
    return status


def take_as_ready(using: str) -> None:
    """Take the store as it is now for one that was found to be ready."""
    _ready[using] = _database(using)


def forget_store_status() -> None:
    """Forget the cached status: the store was adopted, left or replaced."""
    _ready.clear()


def _database(using: str) -> tuple[str, Identity | None]:
    """Return the name of a database, and which file it names now."""
    name = str(connections[using].settings_dict["NAME"])
    return name, identity_of(name) if vendor.is_sqlite(connections[using]) else None


def _look(connection: BaseDatabaseWrapper, name: str) -> StoreStatus:
    is_file = vendor.is_sqlite(connection) and not name.startswith("file:") and name != ":memory:"
    # SQLite would create a missing file at the first question.
    if is_file and is_out_of_reach(name):
        return StoreStatus("unreadable", f"{name} cannot be reached by this user.", _RIGHTS)
    if is_file and not Path(name).exists():
        return StoreStatus("missing", f"{name} does not exist.", _how_to_create())
    if is_file and not Path(name).is_file():
        return StoreStatus("unreadable", f"{name} is not a file.", f"Let {_variable()} name the orchestrator's file.")
    try:
        with connection.cursor() as cursor:
            return _status_of(connection, cursor, name)
    except DjangoDatabaseError as error:
        if isinstance(error, FileClosed):
            return StoreStatus("unreadable", f"{name} cannot be opened by this user.", _RIGHTS)
        if isinstance(error, FileIsLink):
            return StoreStatus("unreadable", str(error))
        remedy = _LOOK.format(name=shell.word(name)) if is_file else f"Check {_variable()}, and that its server runs."
        return StoreStatus("unreadable", f"{name} cannot be read as a store: {error}.", remedy)


_RIGHTS: Final = "Let the user that the dashboard runs as read and write the file and its directory."
_LOOK: Final = f"`{COMMAND} adopt --dry-run {{name}}` says more."


def _variable() -> str:
    """Return the variable that names the store."""
    return "STORES" if chosen_name() else "STORE_URL"


def _migrate() -> str:
    return f"{COMMAND} migrate {f'--store {chosen_name()}' if chosen_name() else f'--database {store_alias()}'}"


def _how_to_create() -> str:
    return f"Let {_variable()} name the orchestrator's file, or make an empty store with `{_migrate()}`."


def _status_of(connection: BaseDatabaseWrapper, cursor: CursorWrapper, name: str) -> StoreStatus:
    if mark := transfer_mark.found(connection):
        return StoreStatus(
            "half filled",
            f"{name} is being filled from {mark.source} by a transfer that has not ended.",
            f"Wait for it. If it was stopped, run `{COMMAND} transfer` from there again, which goes on.",
        )
    applied = _applied(connection, cursor)
    if newer := ownership.newer_migrations(applied):
        return StoreStatus(
            "ahead", ownership.made_by_newer(name, newer), "Use the release that wrote it, or a newer one."
        )
    unapplied = [migration for migration in schema_detection.our_migrations() if migration not in applied]
    if not unapplied:
        return StoreStatus("ready")
    if applied:
        return StoreStatus(
            "behind",
            f"{name} was adopted by an earlier release; not applied: {', '.join(unapplied)}.",
            f"Run `{COMMAND} adopt {shell.word(name)}`, which makes a backup first."
            if vendor.is_sqlite(connection)
            else f"Run `{_migrate()}`.",
        )
    return _not_adopted(connection, cursor, name)


def _applied(connection: BaseDatabaseWrapper, cursor: CursorWrapper) -> set[str]:
    if vendor.is_sqlite(connection):
        return schema_detection.applied_migrations(cursor, schema_detection.read_objects(cursor))
    if "django_migrations" not in connection.introspection.table_names(cursor):
        return set()
    cursor.execute("SELECT name FROM django_migrations WHERE app = 'statestore'")
    return {row[0] for row in cursor.fetchall()}


def _not_adopted(connection: BaseDatabaseWrapper, cursor: CursorWrapper, name: str) -> StoreStatus:
    if not vendor.is_sqlite(connection):
        if reason := ownership.refusal(connection):
            return StoreStatus("not adopted", reason)
        return StoreStatus("not adopted", "The database has no tables of ours.", f"Run `{_migrate()}`.")
    recognised = schema_detection.recognise(cursor, schema_detection.read_objects(cursor))
    if recognised.layout == schema_detection.NOTHING:
        return StoreStatus("not adopted", f"{name} is a database without tables.", _how_to_create())
    if recognised.differences:
        return StoreStatus(
            "not adopted",
            f"{name} is {recognised.layout}: {'; '.join(recognised.differences)}.",
            _LOOK.format(name=shell.word(name)),
        )
    return StoreStatus(
        "not adopted",
        f"{name} is an orchestrator's store ({recognised.layout}) that the dashboard has not moved into yet.",
        f"Run `{COMMAND} adopt {shell.word(name)}`. It looks first, makes a backup, and `{COMMAND} leave` undoes it.",
    )
