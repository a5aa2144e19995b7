"""Restores: plans, previews, results."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from statestore.api.schemas.agents import Moment
from statestore.api.schemas.common import ADDRESS, Id, In, Out, PageIn, Reason, StoredSeconds, Time
from statestore.api.schemas.history import ChangeOut, MomentOut, Path

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
KINDS = Literal["whole", "part", "edit", "revert", "merge"]


class EditIn(In):
    """A value to be corrected: JSON text at a path."""

    path: Path
    value: Annotated[str, Field(min_length=1, max_length=1_000_000, description="JSON text.")]


class RestoreIn(In):
    """What to put back: a moment as a whole, some paths of it, or the present without one transition."""

    agent_id: Id
    moment: Moment | None = None
    revert: Annotated[Id | None, Field(description="A transition whose changes are taken back.")] = None
    paths: Annotated[list[Path] | None, Field(max_length=2000)] = None
    edits: Annotated[list[EditIn], Field(max_length=100)] = []
    seen_hash: Annotated[Hash | None, Field(description="Merge with what came since the state of this hash.")] = None
    sides: Annotated[dict[str, Literal["ours", "theirs"]], Field(description="Where both sides changed a path.")] = {}
    reason: Reason = ""
    dry_run: Annotated[bool, Field(description="Only tell what it would do.")] = False

    @model_validator(mode="after")
    def _is_one(self) -> "RestoreIn":
        if (self.moment is None) == (self.revert is None):
            raise ValueError("Send a moment, or the transition to revert")
        if self.revert is not None and (self.paths is not None or self.edits or self.seen_hash):
            raise ValueError("A revert takes only sides")
        return self


class CautionOut(Out):
    """One reason to look before restoring."""

    kind: str
    text: str


class ClashOut(Out):
    """A place that both sides changed: choose one in `sides`."""

    path: str
    base: Any = None
    ours: Any = None
    theirs: Any = None


class AftermathOut(Out):
    """What happened since and stays, whatever is restored."""

    events: int
    tool_calls: int
    commits: list[str]
    tasks: list[str]
    at_least: bool


class PreviewOut(Out):
    """What a restore would do. Nothing was written."""

    agent_id: str
    kind: KINDS
    label: str
    target: MomentOut
    etag: Annotated[str, Field(description="The agent's row that it was made against.")]
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
    """A restore that was applied: its proof is `hash_after`, its way back `safety_snapshot_id`."""

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
    stands: Annotated[bool | None, Field(description="Whether the agent's state is still the one written.")]
    url: str
    page: str


class PlanOut(Out):
    """A plan: it can be applied for a day, while the agent is what it was made against."""

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
    """Which restores."""

    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="An agent's address.")] = ""
    state: Literal["applied", "planned"] = "applied"
