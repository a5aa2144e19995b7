"""The tables of an export, in the order in which they can be imported, and their keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model, QuerySet

from statestore import models
from statestore.access.scope import Scope


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its model, how to find its rows within a scope, the columns that hold states, its key."""

    model: Any
    rows: Callable[[Scope], QuerySet[Model]]
    agent: str = "agent_id"
    heavy: tuple[str, ...] = ()
    key: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def has_rowid(self) -> bool:
        return any(field.generated for field in self.model._meta.concrete_fields)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that lines have; insertion order and automatic numbers are left out."""
        return tuple(field.column for field in self.fields)

    @property
    def fields(self) -> tuple[Any, ...]:
        concrete = self.model._meta.concrete_fields
        return tuple(f for f in concrete if not f.generated and not (f.primary_key and self.key))

    @property
    def key_columns(self) -> tuple[str, ...]:
        return self.key or (str(self.model._meta.pk.column),)


def _of_agents(model: type[Model], column: str = "agent_id") -> Callable[[Scope], QuerySet[Model]]:
    def rows(scope: Scope) -> QuerySet[Model]:
        every_row = model._default_manager.using(scope.using)
        return (
            every_row
            if scope.is_unrestricted
            else every_row.filter(**{f"{column}__in": scope.agents().values("agent_id")})
        )

    return rows


def _expiries(scope: Scope) -> QuerySet[Model]:
    rows = models.SnapshotExpiry.objects.using(scope.using)
    return rows if scope.is_unrestricted else rows.filter(snapshot_id__in=scope.snapshots().values("pk"))


def _edges(scope: Scope) -> QuerySet[Model]:
    rows = models.TaskDependency.objects.using(scope.using)
    return rows if scope.is_unrestricted else rows.filter(task_id__in=scope.tasks().values("pk"))


# Audit entries are evidence of what was done here: they are exported where asked for, and never imported.
TABLES: Final = (
    Table(models.AgentState, Scope.agents, heavy=("state_data",)),
    Table(models.Tombstone, _of_agents(models.Tombstone)),
    Table(models.Fork, _of_agents(models.Fork)),
    Table(models.Transition, Scope.transitions, heavy=("state_before", "state_after")),
    Table(models.Snapshot, Scope.snapshots, heavy=("state_data",)),
    Table(models.SnapshotExpiry, _expiries, agent=""),
    Table(models.Session, Scope.sessions),
    Table(models.Event, Scope.events, agent="actor_id"),
    Table(models.Task, Scope.tasks, agent="assigned_to"),
    Table(models.TaskDependency, _edges, agent="", key=("task_id", "depends_on_task_id")),
    Table(models.Restore, Scope.restores),
    Table(models.SavedPlan, Scope.plans, heavy=("state_data",)),
)
AUDIT: Final = Table(models.AuditEntry, Scope.audit, agent="row_id")
BY_NAME: Final = {table.name: table for table in TABLES}
