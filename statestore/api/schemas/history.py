"""An agent's history: states, diffs, transitions, snapshots."""

from typing import Annotated, Any, Literal

from ninja.params.functions import Body
from pydantic import ConfigDict, Field

from statestore.api.schemas.agents import Moment, State, StateData
from statestore.api.schemas.common import ADDRESS, CURSOR, In, InTrashIn, Out, Raw, Reason, Seconds, StoredSeconds, Time

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


class TransitionRowOut(Out):
    """A transition without its states."""

    id: str
    address: str
    agent_id: str
    reason: str | None
    timestamp: Time
    timestamp_seconds: StoredSeconds
    metadata: str | None
    size_before: int | None
    size_after: int | None
    url: str
    page: str
    raw: Raw


class TransitionOut(TransitionRowOut):
    """A transition with the states before and after it."""

    etag: str
    state_before_text: str
    state_before: Any
    state_after_text: str
    state_after: Any


class TransitionIn(In):
    """A change to record. Each state is JSON, or text in `state_before_text` and `state_after_text`."""

    state_before: State = None
    state_before_text: StateData | None = None
    state_after: State = None
    state_after_text: StateData | None = None
    reason: Reason | None = None
    metadata: Any = None


class SnapshotRowOut(Out):
    """A snapshot without its state."""

    id: str
    address: str
    agent_id: str
    description: str | None
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    size: int | None
    url: str
    page: str
    raw: Raw


class SnapshotOut(SnapshotRowOut):
    """A snapshot with its state."""

    etag: str
    state_data: str
    state: Any


class NewSnapshotOut(SnapshotRowOut):
    """A new snapshot."""

    etag: str


class SnapshotIn(In):
    """A snapshot to take."""

    description: Annotated[str, Field(max_length=500)] = ""
    expires_at: Annotated[Seconds | None, Field(description="Null: never.")] = None


PLAIN_SNAPSHOT: Any = Body(SnapshotIn())


class TimelineEntryOut(Out):
    """A transition, a captured change or a snapshot."""

    kind: Literal["transition", "captured", "snapshot"]
    at: Time
    at_seconds: StoredSeconds
    transition: TransitionRowOut | None = None
    captured: TransitionRowOut | None = None
    snapshot: SnapshotRowOut | None = None


class DeletedOut(Out):
    """The number of deleted rows."""

    deleted: int
