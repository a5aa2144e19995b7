"""Chosen agents, tasks and sessions of a backup, put back into the live store: each with a preview and an undo."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statestore import models, restore
from statestore.access import audited_rows
from statestore.access.audit import Actor
from statestore.backups.directory import Backup
from statestore.backups.rows import Row, rows_of
from statestore.errors import NotFound
from statestore.models import Session, Task
from statestore.sessions import service as sessions
from statestore.tasks import service as tasks


@dataclass(frozen=True, slots=True)
class ChosenAgent:
    """An agent as a backup has it: the plan to put its state back, and its status then."""

    plan: restore.RestorePlan
    status: str


@dataclass(frozen=True, slots=True)
class ChosenRow:
    """A task or a session as a backup has it, and as it is now; None if it does not exist."""

    row: Task | Session
    stored: Task | Session | None
    etag: str | None

    @property
    def changes(self) -> dict[str, tuple[object, object]]:
        """{column: what it is now and would be} of the columns that differ."""
        if self.stored is None:
            return {name: (None, value) for name, value in audited_rows.columns_of(self.row).items()}
        before, after = audited_rows.changed_columns(self.stored, self.row)
        return {name: (before[name], after[name]) for name in after if name != "updated_at"}


def agent(backup: Backup, agent_id: str, *, using: str) -> ChosenAgent:
    """Return what a backup has of an agent. Raises NotFound."""
    row = _only(rows_of(backup, "agent_states", "agent_id", [agent_id]), f"agent {agent_id}", backup)
    at = int(datetime.fromisoformat(_taken_at(backup)).timestamp())
    label = f"the backup of {datetime.fromisoformat(_taken_at(backup)):%Y-%m-%d %H:%M}"
    return ChosenAgent(restore.plan_kept(agent_id, row["state_data"], at=at, label=label, using=using), row["status"])


def task(backup: Backup, task_id: str, *, using: str) -> ChosenRow:
    """Return what a backup has of a task. Raises NotFound."""
    return _chosen(Task, _only(rows_of(backup, "tasks", "id", [task_id]), f"task {task_id}", backup), using)


def session(backup: Backup, session_id: str, *, using: str) -> ChosenRow:
    """Return what a backup has of a session. Raises NotFound."""
    return _chosen(
        Session, _only(rows_of(backup, "sessions", "id", [session_id]), f"session {session_id}", backup), using
    )


def put_back_row(chosen: ChosenRow, *, by: Actor, using: str) -> None:
    """Write a task or a session as the backup has it, which can be undone. Raises Moved if it has changed since."""
    if isinstance(chosen.row, Task):
        names = {field.attname for field in Task._meta.concrete_fields if field.editable}
        columns = {name: value for name, value in audited_rows.columns_of(chosen.row).items() if name in names}
        tasks.save_task(using, columns, by=by, if_match=chosen.etag)
    else:
        sessions.save_session(using, chosen.row, by=by, if_match=chosen.etag)


def _taken_at(backup: Backup) -> str:
    file = backup.manifest.file_of("store")
    assert file is not None
    return file.taken_at


def _only(rows: list[Row], what: str, backup: Backup) -> Row:
    if not rows:
        raise NotFound(f"The {what} is not in {backup.path}. Nothing was changed.")
    return rows[0]


def _chosen(model: Any, row: Mapping[str, object], using: str) -> ChosenRow:
    fields = {field.column: field for field in model._meta.concrete_fields if not field.generated}
    # A dump has each value as text.
    values = {field.attname: field.to_python(row[column]) for column, field in fields.items() if column in row}
    stored = model.objects.using(using).filter(pk=row["id"]).first()
    return ChosenRow(model(**values), stored, None if stored is None else models.row_hash(stored))
