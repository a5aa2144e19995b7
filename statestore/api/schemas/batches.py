"""The fleet: batches of restores."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from statestore.api.schemas.common import ADDRESS, In, Out, PageIn, Reason, Seconds, StoredSeconds, Time
from statestore.api.schemas.restores import Hash
from statestore.restore import limits as restore_limits

Kind = Literal["change", "running", "unchanged", "unknown"]
Result = Literal["waiting", "done", "unchanged", "moved", "failed"]
When = Annotated[
    str, Field(min_length=1, max_length=60, description="ISO 8601 (UTC where no zone is said), or seconds.")
]
Scope = Annotated[str, Field(max_length=4000, description="Which agents were asked for, in words.")]


class PreviewBatchIn(BaseModel):
    """Which agents, and the time that they are put back to."""

    at: When
    q: Annotated[str, Field(max_length=200, description="Text in the id or the name.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: those without one.")] = None


class VerdictOut(Out):
    """What a batch would do to one agent; `running`: it would change while it runs."""

    agent_id: str
    address: str
    name: str
    status: str
    kind: Kind
    note: str
    etag: Annotated[str, Field(description="The row that this was found for; a batch takes it with the agent.")]


class PreviewBatchOut(Out):
    """What a batch would do. Nothing was written."""

    at: Time
    at_seconds: StoredSeconds
    scope: Scope
    counts: dict[Kind, int]
    items: list[VerdictOut]


class SeenIn(In):
    """An agent, and the ETag under which it was seen."""

    agent: Annotated[str, Field(min_length=1, max_length=1500, pattern=ADDRESS, description="The agent's address.")]
    etag: Hash


class NewBatchIn(In):
    """A batch to keep: the time, and which agents as they were seen."""

    at: Seconds | When
    agents: Annotated[list[SeenIn], Field(min_length=1, max_length=restore_limits.MAX_AGENTS)]
    reason: Reason = ""
    scope: Scope = ""


class BatchRowOut(Out):
    """A batch: of how many agents, of how many it restored the state, how many wait."""

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
    """A batch, with the number of agents by what became of them."""

    results: dict[Result, int]


class BatchAgentsIn(PageIn):
    """Which agents of the batch."""

    result: Result | None = None


class BatchAgentOut(Out):
    """One agent of a batch, and what became of it."""

    agent_id: str
    address: str
    expected_etag: str
    result: Result
    note: str
    restore_id: str | None
    restore: str | None
