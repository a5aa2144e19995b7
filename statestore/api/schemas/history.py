"""An agent's history: states, diffs, value histories, blame, bisect, timeline."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from statestore.api.schemas.agents import Moment
from statestore.api.schemas.common import ADDRESS, CURSOR, InTrashIn, Out, Raw, StoredSeconds, Time
from statestore.api.schemas.snapshots import SnapshotRowOut
from statestore.api.schemas.transitions import TransitionRowOut

Path = Annotated[str, Field(max_length=2000, description='A JSON Pointer such as `/plan/goal`; "" is the whole state.')]
Reached = Annotated[str, Field(max_length=60, pattern=CURSOR, description="`next` of the previous response.")]


class StateOut(Out):
    """The state at a moment, and how certain it is."""

    agent_id: str
    moment: str
    label: str
    at: Time
    at_seconds: StoredSeconds
    is_exact: Annotated[bool, Field(description="False if an unrecorded change came after it.")]
    doubt_until_seconds: StoredSeconds
    hash: Annotated[str, Field(description="SHA-256 of the stored bytes.")]
    state_data: str
    state: Any
    raw: Raw


class StateIn(InTrashIn):
    """A moment."""

    moment: Moment = "now"


class DiffIn(InTrashIn):
    """Two moments."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[Moment, Field(alias="from")]
    to: Moment = "now"
    other: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Take `to` from this other agent.")] = ""


class ChangeOut(Out):
    """One difference. `before` or `after` is absent if the path did not exist on that side."""

    kind: Literal["added", "removed", "replaced", "moved"]
    path: str
    before_path: str
    after_path: str
    before: Any = None
    after: Any = None


class MomentOut(Out):
    """One side of a comparison."""

    agent_id: str
    moment: str
    label: str
    at: Time
    at_seconds: StoredSeconds
    hash: str


class DiffOut(Out):
    """The differences between two moments. If a state is not JSON, `why_text` says so and `changes` is empty."""

    before: MomentOut
    after: MomentOut
    equal: bool
    changes: list[ChangeOut]
    truncated: Annotated[bool, Field(description="There are more changes than listed.")]
    why_text: str | None


class OriginOut(Out):
    """The cause of a change: a transition, or if null, an unrecorded change after `after_seconds`."""

    transition_id: str | None
    transition: str | None
    at: Time
    at_seconds: StoredSeconds
    reason: str | None
    after_seconds: StoredSeconds


class ValueOut(Out):
    """One change of the value."""

    origin: OriginOut
    path: str
    before: Any = None
    after: Any = None
    was_there: bool
    is_there: bool


class PathHistoryIn(InTrashIn):
    """A path; for the next page, with `next` and `place` of the previous response."""

    path: Path
    cursor: Reached = ""
    place: Path | None = None


class PathHistoryOut(Out):
    """The values of a path, newest first."""

    path: str
    place: str
    items: list[ValueOut]
    next: str | None


class BlameOut(Out):
    """The change that last set each value. If `complete` is false, repeat the call to read more of the history."""

    complete: bool
    origins: dict[str, OriginOut]
    unknown: list[str]


class BisectIn(InTrashIn):
    """A condition on the state."""

    condition: Annotated[str, Field(min_length=1, max_length=2000, description="For example `/budget/spent > 100`.")]
    cursor: Reached = ""


class FlipOut(Out):
    """One change of the condition to true or false."""

    became: bool
    origin: OriginOut


class BisectOut(Out):
    """The changes of the condition, newest first, as far back as was read."""

    condition: str
    holds_last: bool
    held_first: bool
    items: list[FlipOut]
    next: str | None


class TimelineIn(InTrashIn):
    """A page of the timeline."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(max_length=16000, pattern=CURSOR)] = ""


class TimelineEntryOut(Out):
    """A transition, a captured change or a snapshot."""

    kind: Literal["transition", "captured", "snapshot"]
    at: Time
    at_seconds: StoredSeconds
    transition: TransitionRowOut | None = None
    captured: TransitionRowOut | None = None
    snapshot: SnapshotRowOut | None = None
