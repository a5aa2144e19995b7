"""Adoption: everything that it changes in a file, as one transaction."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import RunPython
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.db.utils import OperationalError

from statestore import models
from statestore.adoption import schema_detection
from statestore.adoption.probe import Look, look
from statestore.adoption.status import forget_store_status
from statestore.adoption.temporary_store import foreign_keys_off, store_at
from statestore.adoption.upgrade import bring_to_version_5
from statestore.backups.sqlite_copy import BLOCKING_SECONDS, Backup, take_backup
from statestore.db import transactions
from statestore.db.errors import translate
from statestore.errors import Conflict, MigrationError

_ORCHESTRATORS: Final = ("statestore", "0001_orchestrator_schema")
# Another program that works has the file locked for most of the time: we try for a gap this long.
_WAL_SECONDS: Final = 10.0
_WAL_PAUSE_SECONDS: Final = 0.01

# An operation of a migration, with the models before and after it.
_Step = tuple[Operation, ProjectState, ProjectState]


@dataclass(frozen=True)
class Adopted:
    """What adoption did. `backup` is None if there was nothing to do."""

    found: Look
    backup: Backup | None
    journal_mode: str
    notes: tuple[str, ...] = ()


def intentions(look: Look, backup_dir: Path, *, wal: bool) -> list[str]:
    """Return, in sentences, what adopting a file will do to it."""
    steps: list[str] = []
    if not look.is_done:
        steps.append(f"Back it up into {backup_dir} and verify the copy.")
        steps.append("In one transaction:")
        if look.layout in {schema_detection.VERSION_4, schema_detection.INIT}:
            steps.append(f"  bring {look.layout} to version 5, as the orchestrator's own migrations would.")
        if not look.adopted:
            steps.append("  note how its schema was found, so that `leave` can put it back exactly so.")
        steps.append("  add or update this dashboard's side tables (dash_…) and django_migrations.")
        if settings.SEARCH_TRIGGERS and "0005_search" in look.unapplied:
            steps.append(
                "  put triggers on events that note which ones changed, for the search (SEARCH_TRIGGERS=0: none)."
            )
    if wal and look.journal_mode != "wal":
        steps.append("Switch it to WAL, so that reading it never makes the orchestrator's saves wait.")
    return steps


def adopt(path: Path | str, *, backup_dir: Path, wal: bool = False, stopped: bool = False) -> Adopted:
    """Adopt the file at `path`: back it up, upgrade it, add our side tables.

    A file that was adopted before is left as it is. Raises MigrationError for one that is refused, with the reason;
    Conflict where its schema changed under our eyes. In either case the file is as it was.
    """
    found = look(path, stopped=stopped)
    if found.refusal:
        raise MigrationError(f"{found.path} was not adopted. {found.refusal}")
    backup = None
    if not found.is_done:
        hurried = found.journal_mode != "wal" and not stopped
        backup = take_backup(found.path, backup_dir, seconds=BLOCKING_SECONDS if hurried else None)
    with store_at(found.path) as using:
        if not found.is_done:
            _move_in(using, found)
            forget_store_status()
        notes = _switch_to_wal(using) if wal else ()
        return Adopted(found, backup, journal_mode(connections[using]), notes)


def _move_in(using: str, look: Look) -> None:
    """Change the file in one transaction, which is atomic even if this process is killed."""
    connection = connections[using]
    executor = MigrationExecutor(connection)
    # Everything slow comes before the lock: the orchestrator waits while it is held.
    plan = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    steps = _steps(plan, _state_before(executor, look))
    with foreign_keys_off(connection), transactions.writing(using), connection.cursor() as cursor:
        if schema_detection.read_objects(cursor) != look.objects:
            raise Conflict(f"The schema of {look.path} changed meanwhile. Nothing was changed; adopt it again.")
        now = models.now()
        columns = {o.name: list(schema_detection.shape_of(cursor, o.name)) for o in look.objects if o.type == "table"}
        added = bring_to_version_5(cursor, now) if look.layout != schema_detection.VERSION_5 else []
        executor.recorder.ensure_schema()
        _apply(executor.recorder, plan, steps)
        if not look.adopted:
            _note_found(using, look, now=now, columns=columns, migrations_added=added)


def _state_before(executor: MigrationExecutor, look: Look) -> ProjectState:
    """Return the models as they are before the first migration of ours that must really run."""
    graph = executor.loader.graph
    nodes = [node for node in graph.leaf_nodes() if node[0] != "statestore"]
    applied = [node for node in graph.nodes if node[0] == "statestore" and node[1] not in look.unapplied]
    state: ProjectState = executor.loader.project_state([*nodes, _ORCHESTRATORS, *applied])
    return state


def _steps(plan: list[Migration], state: ProjectState) -> dict[Migration, list[_Step]]:
    """Return the operations of our migrations, each with the models before and after it.

    Rendering those models takes ten times as long as the SQL, and Django does it between the statements.
    """
    state.apps  # noqa: B018
    steps: dict[Migration, list[_Step]] = {}
    for migration in filter(_runs, plan):
        steps[migration] = []
        for operation in migration.operations:
            if isinstance(operation, RunPython):
                _complete(state)
            after = state.clone()
            operation.state_forwards(migration.app_label, after)
            steps[migration].append((operation, state, after))
            state = after
    return steps


def _complete(state: ProjectState) -> None:
    """Render what Django puts off until a migration's own code asks for the models."""
    state.clear_delayed_apps_cache()
    state.is_delayed = False
    state.apps  # noqa: B018


def _runs(migration: Migration) -> bool:
    """Return whether a migration really runs: those of other apps, and of the orchestrator's tables, are only noted."""
    return migration.app_label == "statestore" and migration.name != _ORCHESTRATORS[1]


def _apply(recorder: MigrationRecorder, plan: list[Migration], steps: dict[Migration, list[_Step]]) -> None:
    """Run the steps of our migrations, and note that all are applied: those without steps do nothing here."""
    for migration in plan:
        with recorder.connection.schema_editor() as editor:
            for operation, before, after in steps.get(migration, []):
                operation.database_forwards(migration.app_label, editor, before, after)
        recorder.record_applied(migration.app_label, migration.name)


def _note_found(using: str, look: Look, *, now: int, **facts: object) -> None:
    schema = {"objects": look.objects, "switched_to_wal": False, **facts}
    models.Adoption.objects.using(using).create(
        at=now, layout=look.layout, schema=json.dumps(schema), journal_mode=look.journal_mode
    )


def journal_mode(connection: BaseDatabaseWrapper) -> str:
    """Return the journal mode of an SQLite file."""
    with connection.cursor() as cursor:
        return str(cursor.execute("PRAGMA journal_mode").fetchone()[0])


def _switch_to_wal(using: str) -> tuple[str, ...]:
    if journal_mode(connections[using]) == "wal":
        return ()
    deadline = time.monotonic() + _WAL_SECONDS
    while time.monotonic() < deadline:
        if _is_switched_to_wal(using):
            return ()
        time.sleep(_WAL_PAUSE_SECONDS)
    return (
        f"It could not be switched to WAL: other programs were using it for {_WAL_SECONDS:.0f} s."
        " Repeat with --wal when they rest.",
    )


def _is_switched_to_wal(using: str) -> bool:
    """Switch to WAL, which works in a moment in which no other program reads or writes, and return whether it did."""
    try:
        # Noted first: killed in between, `leave` finds a switch that was never made, and does nothing.
        _note_switch(using)
        with connections[using].cursor() as cursor:
            return bool(cursor.execute("PRAGMA journal_mode = wal").fetchone()[0] == "wal")
    except OperationalError as error:
        if "locked" in str(error):
            return False
        raise translate(error) from error


def _note_switch(using: str) -> None:
    note = models.Adoption.objects.using(using).order_by("id").first()
    schema = {} if note is None else json.loads(note.schema)
    if note is not None and not schema.get("switched_to_wal"):
        text = json.dumps(schema | {"switched_to_wal": True})
        models.Adoption.objects.using(using).filter(pk=note.pk).update(schema=text)
