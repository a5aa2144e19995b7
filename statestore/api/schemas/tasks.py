"""Events, tasks, sessions, audit log, health."""

from typing import Annotated, Any, Literal

from ninja.params.functions import Body
from pydantic import BaseModel, Field

from statestore.api.schemas.common import (
    ADDRESS,
    QUERY_CHARACTERS,
    Id,
    In,
    Out,
    PageIn,
    Raw,
    Seconds,
    StoredSeconds,
    Time,
)

Address = Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
ActorType = Literal["User", "Agent", "System"]


class EventsIn(PageIn):
    """Filters for events."""

    type: Annotated[str, Field(max_length=1000)] = ""
    session: Annotated[str, Field(max_length=1000)] = ""
    actor: Annotated[str, Field(max_length=1000)] = ""
    actor_type: ActorType | None = None
    commit: Annotated[str, Field(max_length=100, description="A commit hash or its beginning.")] = ""
    since: Annotated[Seconds | None, Field(description="Start, inclusive.")] = None
    until: Annotated[Seconds | None, Field(description="End, exclusive.")] = None


class SearchIn(PageIn):
    """A search query."""

    q: Annotated[
        str,
        Field(min_length=1, max_length=QUERY_CHARACTERS, description="Words, `type:x`, `-actor:y`, `after:2h`."),
    ]


class EventIn(In):
    """An event to save. An existing event with the same id is replaced."""

    id: Id | None = None
    event_type: Word
    timestamp: Annotated[Seconds | None, Field(description="Default: now.")] = None
    session_id: Id
    actor_type: ActorType
    actor_id: Id
    content: str
    metadata: Annotated[Any, Field(description="JSON, or a string that is stored as text.")] = None
    git_commit: Annotated[str, Field(max_length=200)] | None = None


class EventOut(Out):
    """An event."""

    id: str
    address: str
    event_type: str
    session_id: str
    actor_type: str
    actor_id: str
    content: str
    metadata: str | None
    git_commit: str | None
    timestamp: Time
    timestamp_seconds: StoredSeconds
    created_at: Time
    created_at_seconds: StoredSeconds
    url: str
    raw: Raw


class BatchIn(In):
    """Up to 10,000 events. They can also be sent as NDJSON, one per line."""

    events: Annotated[list[Any], Field(max_length=10_000, description="Each as in `POST /events`.")]
    all_or_nothing: bool = False


class BatchQueryIn(BaseModel):
    """Options of a batch."""

    all_or_nothing: bool = False


class RefusalOut(Out):
    """A rejected event; `position` counts from 0."""

    position: int
    reason: str


class BatchOut(Out):
    """The ids in the order of the events, null for rejected ones."""

    saved: int
    ids: list[str | None]
    refused: list[RefusalOut]


class TasksIn(PageIn):
    """Filters for tasks."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Annotated[str, Field(max_length=500)] = ""


class TaskPatchIn(In):
    """Changes of a task. Omitted fields keep their values."""

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: Annotated[str, Field(max_length=1_000_000)] | None = None
    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Id | None = None
    dependencies: Annotated[
        list[Id] | None, Field(max_length=1000, description="Ids of the tasks that block this one.")
    ] = None
    metadata: Any = None


class TaskPutIn(TaskPatchIn):
    """A task to save. Omitted fields keep their values, or get their defaults."""

    title: Annotated[str, Field(min_length=1, max_length=500)]


class TaskIn(TaskPutIn):
    """A task to create."""

    id: Id | None = None


class TaskOut(Out):
    """A task."""

    id: str
    address: str
    title: str
    description: str | None
    status: str
    priority: str
    complexity: str
    assigned_to: str | None
    dependencies: Annotated[str | None, Field(description="As stored.")]
    waits_for: Annotated[list[str] | None, Field(description="The dependencies as ids; null if not a JSON list.")]
    metadata: str | None
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    url: str
    raw: Raw


class SessionsIn(PageIn):
    """Filters for sessions."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id.")] = ""
    agent: Address = ""
    open: Annotated[bool | None, Field(description="Only recorded sessions that are open, or that have ended.")] = None
    status: Annotated[str, Field(max_length=200)] = ""


class SessionPatchIn(In):
    """Changes of a session. Omitted fields keep their values."""

    agent_id: Id | None = None
    status: Word | None = None
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    metadata: Any = None


class SessionPutIn(SessionPatchIn):
    """A session to save. Omitted fields keep their values, or get their defaults."""

    agent_id: Id


class SessionIn(In):
    """A session to start."""

    id: Id | None = None
    agent_id: Id
    metadata: Any = None


class EndIn(In):
    """The status of an ended session."""

    status: Word = "completed"


# The default for a request without a body.
ENDED: Any = Body(EndIn())


class SessionOut(Out):
    """A session."""

    id: str
    address: str
    agent_id: Annotated[str | None, Field(description="Null if no agent took part.")]
    status: str
    started_at: Time
    started_at_seconds: StoredSeconds
    ended_at: Time
    ended_at_seconds: StoredSeconds
    metadata: str | None
    is_recorded: Annotated[bool, Field(description="False if only events refer to it, which then give its times.")]
    url: str
    raw: Raw


class ActorOut(Out):
    """A participant of a session and its number of counted events."""

    actor_type: str
    actor_id: str
    events: int


class ListedSessionOut(SessionOut):
    """A session with counts over its newest 200 events."""

    last_at: Annotated[Time, Field(description="Time of the last event; without events, of its end or start.")]
    last_at_seconds: StoredSeconds
    events: int
    has_more_events: bool
    took_part: list[ActorOut]


class AuditIn(PageIn):
    """Filters for audit entries."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of the affected row.")] = ""
    verb: Annotated[str, Field(max_length=40)] = ""


class AuditOut(Out):
    """An audit entry: an action of a user."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: str
    address: str
    verb: str
    noun: str
    row_id: str
    row_address: str
    hash_before: str | None
    hash_after: str | None
    detail: str | None


class FindingOut(Out):
    """A health check result."""

    level: Literal["ok", "warn", "error"]
    title: str
    meaning: str
    remedy: str


class HealthOut(Out):
    """The health of the store."""

    ready: bool
    store: str
    agents: dict[str, int]
    findings: list[FindingOut]


class MigrationOut(Out):
    """A migration of the orchestrator."""

    version: int | None
    name: str
    description: str | None
    applied_at: Time
    applied_at_seconds: StoredSeconds


class MeOut(Out):
    """The authenticated user and token, and their permissions."""

    user: str
    token: str | None
    scopes: list[str] | None
    namespaces: list[str] | None
    permissions: list[str]
