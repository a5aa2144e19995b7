"""Batches of restores."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field

from statestore.api.schemas.common import ADDRESS, In, Out, PageIn, Reason, Seconds, example
from statestore.api.schemas.fields import (
    Address,
    OptionalText,
    StoredSeconds,
    Text,
    TextOrNull,
    Time,
    api_url,
    page_url,
)
from statestore.api.schemas.restores import Hash
from statestore.models import Batch, BatchItem
from statestore.restore import BatchPreview, batch_needs_approval
from statestore.restore import limits as restore_limits

# "running": it would change while it is active. "refused": what it mirrors cannot be restored in place.
Kind = Literal["change", "running", "unchanged", "refused", "unknown"]
Result = Literal["waiting", "done", "unchanged", "moved", "failed"]
When = Annotated[
    str, Field(min_length=1, max_length=60, description="ISO 8601 (UTC if it has no offset), or Unix seconds.")
]
Scope = Annotated[str, Field(max_length=4000, description="The selection of agents, in words.")]


class PreviewBatchIn(BaseModel):
    """Filters for agents, and the time to restore them to."""

    at: Annotated[When, Field(examples=["2026-11-21T18:00:00Z"])]
    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the name.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: agents without a namespace.")] = None


class VerdictOut(Out):
    """What a batch would do to one agent. `running`: it would change and is running."""

    agent_id: Text
    address: Address = Field(validation_alias="agent_id")
    name: Text
    status: Text
    kind: Kind
    note: str
    etag: Annotated[str, Field(description="The agent's ETag. Send it with the agent to create a batch.")]
    changes: Annotated[
        dict[str, int] | None,
        Field(description="The number of changes by kind; null where nothing would change or nothing was compared."),
    ]

    @classmethod
    def of(cls, row: BatchPreview, /, **values: object) -> Self:
        """Return the response for the preview of one agent."""
        changes = None if row.extent is None else {kind.value: number for kind, number in row.extent.counts.items()}
        return super().of(row.agent, kind=row.kind, note=row.note, etag=row.etag, changes=changes, **values)


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

    model_config = example(
        {"at": "2026-11-21T18:00:00Z", "agents": [{"agent": "coder-1", "etag": "0" * 64}], "reason": "bad deploy"}
    )

    at: Seconds | When
    agents: Annotated[list[SeenIn], Field(min_length=1, max_length=restore_limits.MAX_AGENTS)]
    reason: Reason = ""
    scope: Scope = ""


def _result(stored: str) -> str:
    return stored or "waiting"


class BatchRowOut(Out):
    """A batch. `total` agents, of which `done` are restored and `waiting` not yet processed."""

    id: Text
    address: Address = Field(validation_alias="id")
    actor: Text
    reason: Text
    moment: Text
    scope: Text
    created_at: Time
    created_at_seconds: StoredSeconds
    approved_by: TextOrNull
    needs_approval: bool
    undoes: OptionalText = Field(validation_alias="undoes_id")
    undone_by: OptionalText
    total: int
    done: int
    waiting: int
    url: Annotated[str, api_url("get_batch")] = Field(validation_alias="id")
    page: Annotated[str, page_url("batch")] = Field(validation_alias="id")

    @classmethod
    def of(cls, row: Batch, /, **values: object) -> Self:
        """Return the response for a batch."""
        return super().of(row, needs_approval=batch_needs_approval(row), **values)


class FleetBatchOut(BatchRowOut):
    """A batch with the number of agents by result."""

    results: dict[Result, int]

    @classmethod
    def of(cls, row: Batch, /, **values: object) -> Self:
        """Return the response for a batch with its results."""
        counts = BatchItem.objects.filter(batch=row).counts_by_result()
        return super().of(row, results={_result(name): number for name, number in sorted(counts.items())}, **values)


class BatchAgentsIn(PageIn):
    """Filters for the agents of a batch."""

    result: Result | None = None


class BatchAgentOut(Out):
    """One agent of a batch and its result."""

    agent_id: Text
    address: Address = Field(validation_alias="agent_id")
    expected_etag: str
    result: Annotated[Result, BeforeValidator(_result)]
    note: Text
    restore_id: OptionalText
    restore: Annotated[str | None, api_url("get_restore")] = Field(validation_alias="restore_id")
