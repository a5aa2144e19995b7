"""Batches of restores."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from statestore.api.schemas.common import ADDRESS, In, Out, PageIn, Reason, Seconds, StoredSeconds, Time
from statestore.api.schemas.restores import Hash
from statestore.restore import MAX_AGENTS

Kind = Literal["change", "running", "unchanged", "unknown"]
Result = Literal["waiting", "done", "unchanged", "moved", "failed"]
When = Annotated[
    str, Field(min_length=1, max_length=60, description="ISO 8601 (UTC if it has no offset), or Unix seconds.")
]
Scope = Annotated[str, Field(max_length=4000, description="The selection of agents, in words.")]


class PreviewBatchIn(BaseModel):
    """Filters for agents, and the time to restore them to."""

    at: When
    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the name.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: agents without a namespace.")] = None


class VerdictOut(Out):
    """What a batch would do to one agent. `running`: it would change and is running."""

    agent_id: str
    address: str
    name: str
    status: str
    kind: Kind
    note: str
    etag: Annotated[str, Field(description="The agent's ETag. Send it with the agent to create a batch.")]


class PreviewBatchOut(Out):
    """A preview of a batch. Nothing was written."""

    at: Time
    at_seconds: StoredSeconds
    scope: Scope
    counts: dict[Kind, int]
    items: list[VerdictOut]


class SeenIn(In):
    """An agent and its ETag from the preview."""

    agent: Annotated[str, Field(min_length=1, max_length=1500, pattern=ADDRESS, description="The agent's address.")]
    etag: Hash


class NewBatchIn(In):
    """A batch to create: the time to restore to, and the agents with their ETags."""

    at: Seconds | When
    agents: Annotated[list[SeenIn], Field(min_length=1, max_length=MAX_AGENTS)]
    reason: Reason = ""
    scope: Scope = ""


class BatchRowOut(Out):
    """A batch. `total` agents, of which `done` are restored and `waiting` not yet processed."""

    id: str
    address: str
    actor: str
    reason: str
    moment: str
    scope: str
    created_at: Time
    created_at_seconds: StoredSeconds
    approved_by: str | None
    needs_approval: bool
    undoes: str | None
    undone_by: str | None
    total: int
    done: int
    waiting: int
    url: str
    page: str


class FleetBatchOut(BatchRowOut):
    """A batch with the number of agents by result."""

    results: dict[Result, int]


class BatchAgentsIn(PageIn):
    """Filters for the agents of a batch."""

    result: Result | None = None


class BatchAgentOut(Out):
    """One agent of a batch and its result."""

    agent_id: str
    address: str
    expected_etag: str
    result: Result
    note: str
    restore_id: str | None
    restore: str | None
