"""Which tables an export has, in the order in which they can be read back, and by which key each row is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from statestore import models
from statestore.access.scope import Reach


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its model, how to find its rows in somebody's reach, the columns that hold states, its key."""

    model: Any
    rows: Callable[[Reach], Any]
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
        """The columns as the lines name them; the order of insertion and automatic numbers are none."""
        return tuple(field.column for field in self.fields)

    @property
    def fields(self) -> tuple[Any, ...]:
        concrete = self.model._meta.concrete_fields
        return tuple(f for f in concrete if not f.generated and not (f.primary_key and self.key))

    @property
    def key_columns(self) -> tuple[str, ...]:
        return self.key or (str(self.model._meta.pk.column),)


def _of_agents(model: Any, column: str = "agent_id") -> Callable[[Reach], Any]:
    def rows(reach: Reach) -> Any:
        found = model.objects.using(reach.using)
        return found if reach.is_whole else found.filter(**{f"{column}__in": reach.agents().values("agent_id")})

    return rows


def _expiries(reach: Reach) -> Any:
    found = models.Expiry.objects.using(reach.using)
    return found if reach.is_whole else found.filter(snapshot_id__in=reach.snapshots().values("pk"))


def _edges(reach: Reach) -> Any:
    found = models.TaskDependency.objects.using(reach.using)
    return found if reach.is_whole else found.filter(task_id__in=reach.tasks().values("pk"))


# Audit entries are evidence of what was done here: they are exported where asked for, and never imported.
TABLES: Final = (
    Table(models.AgentState, Reach.agents, heavy=("state_data",)),
    Table(models.Tombstone, _of_agents(models.Tombstone)),
    Table(models.Fork, _of_agents(models.Fork)),
    Table(models.Transition, Reach.transitions, heavy=("state_before", "state_after")),
    Table(models.Snapshot, Reach.snapshots, heavy=("state_data",)),
    Table(models.Expiry, _expiries, agent=""),
    Table(models.Session, Reach.sessions),
    Table(models.Event, Reach.events, agent="actor_id"),
    Table(models.Task, Reach.tasks, agent="assigned_to"),
    Table(models.TaskDependency, _edges, agent="", key=("task_id", "depends_on_task_id")),
    Table(models.Restore, Reach.restores),
    Table(models.Plan, Reach.plans, heavy=("state_data",)),
)
AUDIT: Final = Table(models.AuditEntry, Reach.audit, agent="row_id")
BY_NAME: Final = {table.name: table for table in TABLES}
