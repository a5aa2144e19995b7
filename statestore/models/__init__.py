"""The tables: the orchestrator's, mapped as they are, and ours; one file per noun, its queryset beside its model."""

from statestore.models.adoption import Adoption, OrchestratorMigration
from statestore.models.agents import AgentState, AgentStatus, Tombstone
from statestore.models.audit import AuditEntry
from statestore.models.batches import Batch, BatchItem
from statestore.models.captured import Captured
from statestore.models.events import ActorType, Event
from statestore.models.forks import Fork
from statestore.models.idempotency import KeptAnswer
from statestore.models.restores import Plan, Restore
from statestore.models.rows import new_id, now, row_hash, same_text, sha256
from statestore.models.saved_searches import SavedView
from statestore.models.sessions import Session
from statestore.models.snapshots import Expiry, Snapshot
from statestore.models.tasks import Task, TaskComplexity, TaskDependency, TaskPriority, TaskStatus
from statestore.models.tokens import ApiToken
from statestore.models.transitions import Transition

__all__ = [
    "ActorType",
    "Adoption",
    "AgentState",
    "AgentStatus",
    "ApiToken",
    "AuditEntry",
    "Batch",
    "BatchItem",
    "Captured",
    "Event",
    "Expiry",
    "Fork",
    "KeptAnswer",
    "OrchestratorMigration",
    "Plan",
    "Restore",
    "SavedView",
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
