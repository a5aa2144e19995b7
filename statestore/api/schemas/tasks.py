"""Events, tasks, sessions, the audit log."""

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

Address = Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="An agent's address.")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
ActorType = Literal["User", "Agent", "System"]


class EventsIn(PageIn):
    """Which events."""

    type: Annotated[str, Field(max_length=1000)] = ""
    session: Annotated[str, Field(max_length=1000)] = ""
    actor: Annotated[str, Field(max_length=1000)] = ""
    actor_type: ActorType | None = None
    commit: Annotated[str, Field(max_length=100, description="A commit, or how it begins.")] = ""
    since: Annotated[Seconds | None, Field(description="At or after this second.")] = None
    until: Annotated[Seconds | None, Field(description="Before this second.")] = None


class SearchIn(PageIn):
    """What to look for."""

    q: Annotated[str, Field(min_length=1, max_length=QUERY_CHARACTERS, description="Words, type:x, -actor:y, after:2h")]


class EventIn(In):
    """An event; with the id of one that is there, it takes its place."""

    id: Id | None = None
    event_type: Word
    timestamp: Annotated[Seconds | None, Field(description="Null: now.")] = None
    session_id: Id
    actor_type: ActorType
    actor_id: Id
    content: str
    metadata: Annotated[Any, Field(description="JSON, or a text that is stored as it is.")] = None
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
    """Some events, up to 10,000. They may also be sent as NDJSON, one for each line."""

    events: Annotated[list[Any], Field(max_length=10_000, description="Each as for POST /events.")]
    all_or_nothing: bool = False


class BatchQueryIn(BaseModel):
    """All, or each that can be."""

    all_or_nothing: bool = False


class RefusalOut(Out):
    """Why one was not saved; counted from 0."""

    position: int
    reason: str


class BatchOut(Out):
    """What became of each: its id, null where it was refused."""

    saved: int
    ids: list[str | None]
    refused: list[RefusalOut]


class TasksIn(PageIn):
    """Which tasks."""

    q: Annotated[str, Field(max_length=200, description="A part of the id or of the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Annotated[str, Field(max_length=500)] = ""


class TaskPatchIn(In):
    """What changes of a task; what is not given stays as it is."""

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: Annotated[str, Field(max_length=1_000_000)] | None = None
    q: Annotated[str, Field(max_length=200, description="A part of the id or of the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Id | None = None
    dependencies: Annotated[list[Id] | None, Field(max_length=1000, description="Ids of tasks that it waits for.")] = (
        None
    )
    metadata: Any = None


class TaskPutIn(TaskPatchIn):
    """A task as a whole; what is not given stays as it is, or takes its usual value."""

    title: Annotated[str, Field(min_length=1, max_length=500)]


class TaskIn(TaskPutIn):
    """A new task."""

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
    waits_for: Annotated[list[str] | None, Field(description="The ids that the dependencies name.")]
    metadata: str | None
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    url: str
    raw: Raw


class SessionsIn(PageIn):
    """Which sessions."""

    q: Annotated[str, Field(max_length=200, description="A part of the id.")] = ""
    agent: Address = ""
    open: Annotated[bool | None, Field(description="Of those that are recorded.")] = None
    status: Annotated[str, Field(max_length=200)] = ""


class SessionPatchIn(In):
    """What changes of a session; what is not given stays as it is."""

    agent_id: Id | None = None
    status: Word | None = None
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    metadata: Any = None


class SessionPutIn(SessionPatchIn):
    """A session as a whole."""

    agent_id: Id


class SessionIn(In):
    """A session to open."""

    id: Id | None = None
    agent_id: Id
    metadata: Any = None


class EndIn(In):
    """How it ended."""

    status: Word = "completed"


# What is meant where no body is sent.
ENDED: Any = Body(EndIn())


class SessionOut(Out):
    """A session."""

    id: str
    address: str
    agent_id: Annotated[str | None, Field(description="Null: no agent took part.")]
    status: str
    started_at: Time
    started_at_seconds: StoredSeconds
    ended_at: Time
    ended_at_seconds: StoredSeconds
    metadata: str | None
    is_recorded: Annotated[bool, Field(description="False: only events name it; its times are those of its events.")]
    url: str
    raw: Raw


class ActorOut(Out):
    """Who took part in a session, and in how many of the events that were counted."""

    actor_type: str
    actor_id: str
    events: int


class ListedSessionOut(SessionOut):
    """A session, and what its newest 200 events tell."""

    last_at: Annotated[Time, Field(description="Its last event; without one, when it ended or began.")]
    last_at_seconds: StoredSeconds
    events: int
    has_more_events: bool
    took_part: list[ActorOut]


class AuditIn(PageIn):
    """Which entries."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="The row they are about.")] = ""
    verb: Annotated[str, Field(max_length=40)] = ""


class AuditOut(Out):
    """One thing that somebody did."""

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
    before: Annotated[dict[str, Any] | None, Field(description="The changed columns before, where they are known.")]
    after: Annotated[dict[str, Any] | None, Field(description="The changed columns after, where they are known.")]
    reverts: Annotated[int | None, Field(description="The id of the entry that this one undid.")]
    detail: str | None


class FindingOut(Out):
    """One thing about the store's health."""

    level: Literal["ok", "warn", "error"]
    title: str
    meaning: str
    remedy: str


class HealthOut(Out):
    """How the store is."""

    ready: bool
    store: str
    agents: dict[str, int]
    findings: list[FindingOut]


class MigrationOut(Out):
    """One of the orchestrator's own migrations."""

    version: int | None
    name: str
    description: str | None
    applied_at: Time
    applied_at_seconds: StoredSeconds


class MeOut(Out):
    """Who calls, and what they may do."""

    user: str
    token: str | None
    scopes: list[str] | None
    namespaces: list[str] | None
    permissions: list[str]
