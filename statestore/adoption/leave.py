"""Leaving: drop everything of ours, undo what adoption added, and prove that the schema is as it was found."""

# ruff: noqa: S608  (names and conditions that are put into SQL here are constants of ours)

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.utils import OperationalError

from descartes_site.locations import COMMAND
from statestore import archive, models
from statestore.adoption.adopt import journal_mode
from statestore.adoption.schema_detection import Executes, SchemaObject, is_ours, read_objects, shape_of
from statestore.adoption.status import forget_store_status
from statestore.adoption.temporary_store import foreign_keys_off
from statestore.adoption.upgrade import rebuild
from statestore.db import orchestrator_schema as schema
from statestore.db import transactions, vendor
from statestore.db.archive import token_of
from statestore.errors import Conflict, MigrationError

# Columns whose values the database fills in by itself: they hold no data of their own.
_FILLED_BY_ITSELF: Final = {"created_at", "created_timestamp"}
# SQLite drops its table of counters only in a VACUUM, which holds the lock for long above this size.
_QUICK_VACUUM_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True)
class Found:
    """The store as adoption found it."""

    layout: str
    objects: list[SchemaObject]
    columns: dict[str, list[str]] = field(default_factory=dict)
    migrations_added: list[int] = field(default_factory=list)
    switched_to_wal: bool = False
    journal_mode: str = ""


@dataclass(frozen=True)
class Left:
    """What leaving did. `identical` is None if the dashboard itself created the store."""

    identical: bool | None
    dropped: list[str]
    others: list[str]  # what is there and was not: another program's, or SQLite's own
    notes: list[str]


def found_at_adoption(using: str) -> Found | None:
    """Return the store as it was found, or None if the dashboard itself created it."""
    with connections[using].cursor() as cursor:
        if not any(o.name == "dash_adoption" for o in read_objects(cursor)):
            return None
    note = models.Adoption.objects.using(using).order_by("id").first()
    if note is None:
        return None
    kept: dict[str, Any] = json.loads(note.schema)
    objects = [SchemaObject(*row) for row in kept.pop("objects")]
    return Found(layout=note.layout, journal_mode=note.journal_mode, objects=objects, **kept)


def ours(using: str) -> list[str]:
    """Return the names of everything of ours in a store. Raises MigrationError on PostgreSQL: use `migrate` there."""
    connection = connections[using]
    if not vendor.is_sqlite(connection):
        raise MigrationError(f"On PostgreSQL run `{COMMAND} migrate --database {using} statestore 0001`.")
    with connection.cursor() as cursor:
        return [o.name for o in read_objects(cursor) if is_ours(o.name) and o.sql]


def archived_records(using: str) -> int:
    """Return how many of the orchestrator's records are in the archive."""
    return 0 if token_of(connections[using]) is None else archive.archived_bytes(using)[0]


def losses(using: str) -> list[str]:
    """Return, in sentences, the data in tables and columns that leaving removes."""
    original = found_at_adoption(using)
    if original is None:
        return []
    with connections[using].cursor() as cursor:
        return [*_lost_rows(cursor, original), *_lost_values(cursor, original)]


def _tables(objects: list[SchemaObject]) -> dict[str, SchemaObject]:
    return {o.name: o for o in objects if o.type == "table"}


def _lost_rows(cursor: Executes, original: Found) -> Iterator[str]:
    now = _tables(read_objects(cursor))
    for table in schema.TABLES:
        if table in now and table not in _tables(original.objects) and table != "migrations":
            count = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if count:
                yield f"the table {table} with {count} rows, which {original.layout} has not"


def _lost_values(cursor: Executes, original: Found) -> Iterator[str]:
    now = _tables(read_objects(cursor))
    for table in set(schema.TABLES) & set(now) & set(original.columns):
        added = set(shape_of(cursor, table)) - set(original.columns[table]) - _FILLED_BY_ITSELF
        for column in sorted(added):
            default = schema.column_definition(table, column).partition("DEFAULT ")[2]
            count = cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} IS NOT {default}").fetchone()[0]
            if count:
                yield f"the column {table}.{column}, in which {count} rows hold something"


def leave(using: str, *, accept_losses: bool = False, vacuum: bool = False) -> Left:
    """Drop everything of ours and undo what adoption added, in one transaction; prove the schema.

    Raises Conflict if data in what adoption added would be lost, unless that is accepted;
    MigrationError where the schema would not be as found. Nothing is changed then.
    """
    connection = connections[using]
    if not ours(using):
        raise MigrationError("The dashboard has not moved into this store; there is nothing to take away.")
    if records := archived_records(using):
        raise Conflict(
            f"{records:,} records are archived and would be lost. Put them back first: {COMMAND} archive --undo."
            " Nothing was changed."
        )
    original = found_at_adoption(using)
    with foreign_keys_off(connection), transactions.writing(using), connection.cursor() as cursor:
        if not accept_losses and (lost := losses(using)):
            raise Conflict(f"Leaving would lose {'; '.join(lost)}. Nothing was changed; say --yes to accept that.")
        before = read_objects(cursor)
        _drop_ours(cursor, before)
        if original is not None:
            _undo(cursor, original)
            _prove(read_objects(cursor), original)
    forget_store_status()
    return _report(connection, before, original, vacuum=vacuum)


def _drop_ours(cursor: Executes, objects: list[SchemaObject]) -> None:
    # Triggers first: those on the orchestrator's tables would otherwise write to dropped tables.
    for kind in ("trigger", "view", "index", "table"):
        for item in objects:
            if item.type == kind and is_ours(item.name) and (kind != "index" or not is_ours(item.table)):
                cursor.execute(f'DROP {kind.upper()} IF EXISTS "{item.name}"')


def _undo(cursor: Executes, original: Found) -> None:
    """Undo what adoption added to the orchestrator's own tables."""
    names = {o.name for o in original.objects}
    now = read_objects(cursor)
    for o in now:
        if o.type == "index" and o.name in schema.INDEXES and o.name not in names:
            cursor.execute(f"DROP INDEX {o.name}")
    for table in reversed(schema.TABLES):
        if table not in names:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
    for version in original.migrations_added if "migrations" in names else []:
        cursor.execute(f"DELETE FROM migrations WHERE version = {int(version)}")
    current = _tables(now)
    for table, then in _tables(original.objects).items():
        if table in schema.TABLES and table in current and current[table].sql != then.sql and then.sql:
            rebuild(cursor, table, then.sql)


def _prove(after: list[SchemaObject], original: Found) -> None:
    """Raise unless everything found is back and nothing of ours is left. Later additions of others are ignored."""
    wrong = (set(original.objects) - set(after)) | {o for o in after if is_ours(o.name)}
    if wrong:
        names = ", ".join(sorted(o.name for o in wrong))
        raise MigrationError(f"The schema would not be as it was found: {names}. Nothing was changed.")


def _report(
    connection: BaseDatabaseWrapper, before: list[SchemaObject], original: Found | None, *, vacuum: bool
) -> Left:
    dropped = [o.name for o in before if is_ours(o.name) and o.sql]
    if original is None:
        return Left(None, dropped, [], ["The dashboard itself had made this store; the orchestrator's tables stay."])
    notes = _tidy(connection, original, vacuum=vacuum)
    with connection.cursor() as cursor:
        foreign = sorted(o.name for o in set(read_objects(cursor)) - set(original.objects))
    return Left(not foreign, dropped, foreign, notes)


def _tidy(connection: BaseDatabaseWrapper, original: Found, *, vacuum: bool) -> list[str]:
    """Restore what no transaction can, SQLite's counters and the journal mode; return what could not be restored."""
    notes: list[str] = []
    with connection.cursor() as cursor:
        names = {o.name for o in read_objects(cursor)}
        if "sqlite_sequence" in names and not any(o.name == "sqlite_sequence" for o in original.objects):
            notes.extend(_vacuumed(cursor, anyway=vacuum))
    if original.switched_to_wal and original.journal_mode != "wal" and journal_mode(connection) == "wal":
        notes.extend(_switched_back(connection, original.journal_mode))
    return notes


def _vacuumed(cursor: CursorWrapper, *, anyway: bool) -> list[str]:
    pages = cursor.execute("PRAGMA page_count").fetchone()[0]
    size = pages * cursor.execute("PRAGMA page_size").fetchone()[0]
    advice = "SQLite's own empty table sqlite_sequence is left; only a VACUUM removes it."
    if size > _QUICK_VACUUM_BYTES and not anyway:
        return [f"{advice} That would hold the write lock for long; repeat with --vacuum when the orchestrator rests."]
    try:
        cursor.execute("VACUUM")
    except OperationalError as error:
        return [f"{advice} It could not be done now: {error}."]
    return []


def _switched_back(connection: BaseDatabaseWrapper, mode: str) -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 500")
            now = cursor.execute(f"PRAGMA journal_mode = {mode if mode.isalpha() else 'delete'}").fetchone()[0]
    except OperationalError:
        now = "wal"
    # The log goes with the mode: to a connection that stays open, a file without it would look replaced.
    connection.close()
    return [] if now != "wal" else [
        "The journal mode is still WAL: another program has the file open. The orchestrator works in either mode; "
        "to switch back, run PRAGMA journal_mode = delete when it is stopped."
    ]  # fmt: skip
