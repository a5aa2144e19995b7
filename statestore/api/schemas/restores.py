"""Restores: plans, previews, results."""

from typing import Annotated, Literal, Self

from ninja.params.functions import Body
from pydantic import BeforeValidator, Field, model_validator

from statestore.api.schemas.agents import Moment, ReasonIn, Status
from statestore.api.schemas.common import ADDRESS, Id, In, Out, PageIn, Reason, SparseOut, example
from statestore.api.schemas.fields import (
    Address,
    OptionalText,
    ParsedJson,
    StoredJson,
    StoredSeconds,
    Text,
    TextOrNull,
    Time,
    api_url,
    page_url,
)
from statestore.api.schemas.history import ChangeOut, Coarse, MomentOut, Path
from statestore.models import Restore, SavedPlan, now
from statestore.restore import needs_approval

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
KINDS = Literal["whole", "part", "edit", "revert", "merge", "backup"]


class EditIn(In):
    """A value to change before restoring: JSON text at a path."""

    path: Path
    value: Annotated[str, Field(min_length=1, max_length=1_000_000, description="JSON text.")]


class RestoreIn(In):
    """What to restore: the state of a moment, some of its paths, or the current state with a transition reverted."""

    model_config = example(
        {"agent_id": "coder-1", "moment": "at:2026-11-21T18:00:00Z", "reason": "lost its goal", "dry_run": True}
    )

    agent_id: Id
    moment: Moment | None = None
    revert: Annotated[Id | None, Field(description="Id of a transition whose changes to revert.")] = None
    paths: Annotated[list[Path] | None, Field(max_length=2000)] = None
    edits: Annotated[list[EditIn], Field(max_length=100)] = []
    seen_hash: Annotated[Hash | None, Field(description="Merge with the changes since the state of this hash.")] = None
    sides: Annotated[
        dict[str, Literal["ours", "theirs"]], Field(description="For each conflicting path, the side to use.")
    ] = {}
    reason: Reason = ""
    status: Annotated[Status | None, Field(description="The status to set in the same transaction.")] = None
    dry_run: Annotated[bool, Field(description="Only preview, write nothing.")] = False

    @model_validator(mode="after")
    def _is_one(self) -> "RestoreIn":
        if (self.moment is None) == (self.revert is None):
            raise ValueError("Send either moment or revert")
        if self.revert is not None and (self.paths is not None or self.edits or self.seen_hash):
            raise ValueError("revert can only be combined with sides")
        return self


class RestoreSnapshotIn(ReasonIn):
    """Why a snapshot is restored, and the status to set with it."""

    model_config = example({"reason": "lost its goal"})

    status: Annotated[Status | None, Field(description="The status to set in the same transaction.")] = None


# The default for a request without a body.
NO_STATUS: RestoreSnapshotIn = Body(RestoreSnapshotIn())


class CautionOut(Out):
    """A warning to review before restoring."""

    kind: str
    text: Text


class ClashOut(SparseOut):
    """A path that both sides changed. Choose one in `sides`."""

    path: Text
    base: ParsedJson = None
    ours: ParsedJson = None
    theirs: ParsedJson = None


class AftermathOut(Out):
    """What has happened since and is not undone by a restore."""

    events: int
    tool_calls: int
    commits: list[Text]
    tasks: list[Annotated[Text, BeforeValidator(lambda task: task.pk)]]
    at_least: bool


class PreviewOut(Out):
    """A preview of a restore. Nothing was written."""

    agent_id: Text
    kind: KINDS
    label: Text
    target: MomentOut
    etag: Annotated[str, Field(description="The agent's ETag at the time of the preview.")] = Field(
        validation_alias="expected_etag"
    )
    hash_before: str
    hash_after: str
    changes_nothing: bool
    warnings: list[CautionOut]
    clashes: list[ClashOut]
    changes: list[ChangeOut]
    truncated: bool
    coarse: Coarse
    aftermath: AftermathOut
    state_data: Text = Field(validation_alias="text")
    state: StoredJson = Field(validation_alias="text")


class RestoredOut(Out):
    """An applied restore. `hash_after` is the hash of the state written, `safety_snapshot_id` the state overwritten."""

    id: Text
    address: Address = Field(validation_alias="id")
    state: Literal["applied"]
    agent_id: Text
    actor: Text
    reason: Text
    moment: Text
    kind: Annotated[str, BeforeValidator(lambda kind: kind or "whole")]
    at: Time
    at_seconds: StoredSeconds
    hash_before: str
    hash_after: str
    status_before: Annotated[TextOrNull, Field(description="Null if the restore left the status alone.")]
    status_after: Annotated[TextOrNull, Field(description="The status that the restore set.")]
    safety_snapshot_id: Annotated[TextOrNull, Field(description="Null if the restore created the agent again.")]
    transition_id: Text
    undoes: OptionalText = Field(validation_alias="undoes_id")
    undone_by: OptionalText
    stands: Annotated[bool | None, Field(description="Whether the agent still has the state written.")]
    url: Annotated[str, api_url("get_restore")] = Field(validation_alias="id")
    page: Annotated[str, page_url("restore")] = Field(validation_alias="id")

    @classmethod
    def of(cls, row: Restore, /, **values: object) -> Self:
        """Return the response for an applied restore."""
        return super().of(row, state="applied", **values)


class PlanOut(Out):
    """A plan. It can be applied for a day, while the agent is unchanged."""

    id: Text
    address: Address = Field(validation_alias="id")
    state: Literal["planned", "expired"]
    agent_id: Text
    actor: Text
    reason: Text
    moment: Text
    label: Text
    kind: KINDS
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    approved_at: Time
    approved_at_seconds: StoredSeconds
    approved_by: TextOrNull
    needs_approval: bool
    expected_etag: str
    hash_before: str
    hash_after: str
    status: Annotated[TextOrNull, Field(description="The status to set; null leaves it.")]
    url: Annotated[str, api_url("get_restore")] = Field(validation_alias="id")
    page: Annotated[str, page_url("restore")] = Field(validation_alias="id")

    @classmethod
    def of(cls, row: SavedPlan, /, **values: object) -> Self:
        """Return the response for a saved plan."""
        state = "expired" if row.is_expired(now()) else "planned"
        return super().of(row, state=state, needs_approval=needs_approval(row.approved_by), **values)


class RestoresIn(PageIn):
    """Filters for restores."""

    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")] = ""
    state: Literal["applied", "planned"] = "applied"
