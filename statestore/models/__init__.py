"""The tables: the orchestrator's, mapped as they are, and a few of ours whose names start with `dash_`."""

from statestore.models.dash import (
    Adoption,
    AuditEntry,
    Expiry,
    Restore,
    Tombstone,
)
from statestore.models.orchestrator import (
    ActorType,
    AgentState,
    AgentStatus,
    Event,
    OrchestratorMigration,
    Session,
    Snapshot,
    Task,
    TaskComplexity,
    TaskDependency,
    TaskPriority,
    TaskStatus,
    Transition,
)
from statestore.models.rows import (
    new_id,
    now,
    row_hash,
    same_text,
    sha256,
)

__all__ = [
    "ActorType",
    "Adoption",
    "AgentState",
    "AgentStatus",
    "AuditEntry",
    "Event",
    "Expiry",
    "OrchestratorMigration",
    "Restore",
    "Session",
    "Snapshot",
    "Task",
    "TaskComplexity",
    "TaskDependency",
    "TaskPriority",
    "TaskStatus",
    "Tombstone",
    "Transition",
    "new_id",
    "now",
    "row_hash",
    "same_text",
    "sha256",
]
