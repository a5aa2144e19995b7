"""The tables: the orchestrator's, mapped as they are, and ours; one file per noun, its queryset beside its model."""

from statestore.models.adoption import Adoption, OrchestratorMigration
from statestore.models.agents import AgentState, AgentStatus, Tombstone
from statestore.models.archive import ArchivedSnapshot, ArchivedTransition, ArchiveFrame, ArchiveSwitch
from statestore.models.audit import AuditEntry
from statestore.models.batches import Batch, BatchItem
from statestore.models.browser_sessions import BrowserSession
from statestore.models.captured import CapturedChange
from statestore.models.chain_heads import ChainHead
from statestore.models.events import ActorType, Event
from statestore.models.forks import Fork
from statestore.models.growth import Sample
from statestore.models.idempotency import IdempotentResponse
from statestore.models.intended_forks import IntendedFork
from statestore.models.intended_restores import IntendedRestore
from statestore.models.last_writes import LastWrite
from statestore.models.restores import Restore, SavedPlan
from statestore.models.retention import Hold, HousekeepingRun, PolicyTable, RetentionPolicy
from statestore.models.rows import GONE_ETAG, is_uuid, new_id, now, row_hash, same_text, sha256
from statestore.models.saved_searches import SavedSearch
from statestore.models.sessions import Session, SessionStatus
from statestore.models.snapshots import Snapshot, SnapshotExpiry
from statestore.models.sources import MIRROR_MARK, Source, SourceThread, mirrored_thread
from statestore.models.tasks import Task, TaskComplexity, TaskDependency, TaskPriority, TaskStatus
from statestore.models.tokens import ApiToken
from statestore.models.transitions import Transition, status_change
from statestore.models.user_access import GroupAccess, UserAccess

__all__ = [
    "GONE_ETAG",
    "MIRROR_MARK",
    "ActorType",
    "Adoption",
    "AgentState",
    "AgentStatus",
    "ApiToken",
    "ArchiveFrame",
    "ArchiveSwitch",
    "ArchivedSnapshot",
    "ArchivedTransition",
    "AuditEntry",
    "Batch",
    "BatchItem",
    "BrowserSession",
    "CapturedChange",
    "ChainHead",
    "Event",
    "Fork",
    "GroupAccess",
    "Hold",
    "HousekeepingRun",
    "IdempotentResponse",
    "IntendedFork",
    "IntendedRestore",
    "LastWrite",
    "OrchestratorMigration",
    "PolicyTable",
    "Restore",
    "RetentionPolicy",
    "Sample",
    "SavedPlan",
    "SavedSearch",
    "Session",
    "SessionStatus",
    "Snapshot",
    "SnapshotExpiry",
    "Source",
    "SourceThread",
    "Task",
    "TaskComplexity",
    "TaskDependency",
    "TaskPriority",
    "TaskStatus",
    "Tombstone",
    "Transition",
    "UserAccess",
    "is_uuid",
    "mirrored_thread",
    "new_id",
    "now",
    "row_hash",
    "same_text",
    "sha256",
    "status_change",
]
