"""The vocabulary of reading: each method is a clause, and they chain.

Lists never load states: `without_state()` defers them, `with_size()` asks the database for their length.
"""

from statestore.querysets.common import (
    BY_CHANGE,
    BY_CREATION,
    BY_TIME,
    DAY_SECONDS,
    HOUR_SECONDS,
    first_values,
    some_of_each,
)
from statestore.querysets.dash import (
    AuditQuerySet,
    BatchItemQuerySet,
    BatchQuerySet,
    CapturedQuerySet,
    PlanQuerySet,
    RestoreQuerySet,
    TombstoneQuerySet,
)
from statestore.querysets.orchestrator import (
    AgentQuerySet,
    EventQuerySet,
    SessionQuerySet,
    SnapshotQuerySet,
    TaskQuerySet,
    TransitionQuerySet,
)

__all__ = [
    "BY_CHANGE", "BY_CREATION", "BY_TIME", "DAY_SECONDS", "HOUR_SECONDS", "AgentQuerySet", "AuditQuerySet",
    "BatchItemQuerySet", "BatchQuerySet", "CapturedQuerySet", "EventQuerySet", "PlanQuerySet", "RestoreQuerySet",
    "SessionQuerySet", "SnapshotQuerySet", "TaskQuerySet", "TombstoneQuerySet", "TransitionQuerySet",
    "first_values",
    "some_of_each",
]  # fmt: skip
