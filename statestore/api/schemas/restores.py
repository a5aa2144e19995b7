"""Restores: plans, previews, results."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from statestore.api.schemas.agents import Moment
from statestore.api.schemas.common import ADDRESS, Id, In, Out, PageIn, Reason, StoredSeconds, Time
from statestore.api.schemas.history import ChangeOut, MomentOut, Path

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
KINDS = Literal["whole", "part", "edit", "revert", "merge"]


class EditIn(In):
    """A value to change before restoring: JSON text at a path."""

    path: Path
    value: Annotated[str, Field(min_length=1, max_length=1_000_000, description="JSON text.")]


class RestoreIn(In):
    """What to restore: the state of a moment, some of its paths, or the current state with a transition reverted."""

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
    dry_run: Annotated[bool, Field(description="Only preview, write nothing.")] = False

    @model_validator(mode="after")
    def _is_one(self) -> "RestoreIn":
        if (self.moment is None) == (self.revert is None):
            raise ValueError("Send either moment or revert")
        if self.revert is not None and (self.paths is not None or self.edits or self.seen_hash):
            raise ValueError("revert can only be combined with sides")
        return self


class CautionOut(Out):
    """A warning to review before restoring."""

    kind: str
    text: str


class ClashOut(Out):
    """A path that both sides changed. Choose one in `sides`."""

    path: str
    base: Any = None
    ours: Any = None
    theirs: Any = None


class AftermathOut(Out):
    """What has happened since and is not undone by a restore."""

    events: int
    tool_calls: int
    commits: list[str]
    tasks: list[str]
    at_least: bool


class PreviewOut(Out):
    """A preview of a restore. Nothing was written."""

    agent_id: str
    kind: KINDS
    label: str
    target: MomentOut
    etag: Annotated[str, Field(description="The agent's ETag at the time of the preview.")]
    hash_before: str
    hash_after: str
    changes_nothing: bool
    warnings: list[CautionOut]
    clashes: list[ClashOut]
    changes: list[ChangeOut]
    truncated: bool
    aftermath: AftermathOut
    state_data: str
    state: Any


class RestoredOut(Out):
    """An applied restore. `hash_after` is the hash of the state written, `safety_snapshot_id` the state overwritten."""

    id: str
    address: str
    state: Literal["applied"]
    agent_id: str
    actor: str
    reason: str
    moment: str
    kind: str
    at: Time
    at_seconds: StoredSeconds
    hash_before: str
    hash_after: str
    safety_snapshot_id: str
    transition_id: str
    undoes: str | None
    undone_by: str | None
    stands: Annotated[bool | None, Field(description="Whether the agent still has the state written.")]
    url: str
    page: str


class PlanOut(Out):
    """A plan. It can be applied for a day, while the agent is unchanged."""

    id: str
    address: str
    state: Literal["planned", "expired"]
    agent_id: str
    actor: str
    reason: str
    moment: str
    label: str
    kind: KINDS
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    approved_at: Time
    approved_at_seconds: StoredSeconds
    approved_by: str | None
    needs_approval: bool
    expected_etag: str
    hash_before: str
    hash_after: str
    url: str
    page: str


class RestoresIn(PageIn):
    """Filters for restores."""

    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")] = ""
    state: Literal["applied", "planned"] = "applied"
