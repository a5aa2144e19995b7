"""What an agent was, and what changed."""

from typing import Annotated, Any, Literal

from ninja.params.functions import Body
from pydantic import ConfigDict, Field

from statestore.api.schemas.agents import Moment, State, StateData
from statestore.api.schemas.common import ADDRESS, CURSOR, In, InTrashIn, Out, Raw, Reason, Seconds, StoredSeconds, Time

Path = Annotated[str, Field(max_length=2000, description='A JSON Pointer, such as /plan/goal; "" is the whole state.')]
Reached = Annotated[str, Field(max_length=60, pattern=CURSOR, description="`next` of the answer before.")]


class StateOut(Out):
    """A state at a moment, and how it is known."""

    agent_id: str
    moment: str
    label: str
    at: Time
    at_seconds: StoredSeconds
    is_exact: Annotated[bool, Field(description="False: a change came after it that nobody recorded.")]
    doubt_until_seconds: StoredSeconds
    hash: Annotated[str, Field(description="SHA-256 of the stored bytes.")]
    state_data: str
    state: Any
    raw: Raw


class StateIn(InTrashIn):
    """At which moment."""

    moment: Moment = "now"


class DiffIn(InTrashIn):
    """Which moments."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[Moment, Field(alias="from")]
    to: Moment = "now"
    other: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Another agent, of which `to` is.")] = ""


class ChangeOut(Out):
    """One difference: what became of a path. A side on which there was nothing has no member."""

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
    """How two moments differ. Where a state is no JSON, `why_text` says so and there are no changes to list."""

    before: MomentOut
    after: MomentOut
    equal: bool
    changes: list[ChangeOut]
    truncated: Annotated[bool, Field(description="There are more changes than are listed.")]
    why_text: str | None


class OriginOut(Out):
    """What made a change: a transition, or, where that is null, something that nobody recorded after `after`."""

    transition_id: str | None
    transition: str | None
    at: Time
    at_seconds: StoredSeconds
    reason: str | None
    after_seconds: StoredSeconds


class ValueOut(Out):
    """One time at which the value changed."""

    origin: OriginOut
    path: str
    before: Any = None
    after: Any = None
    was_there: bool
    is_there: bool


class PathHistoryIn(InTrashIn):
    """Of which place; to go on, with `next` and `place` of the answer before."""

    path: Path
    cursor: Reached = ""
    place: Path | None = None


class PathHistoryOut(Out):
    """What one place was, newest first."""

    path: str
    place: str
    items: list[ValueOut]
    next: str | None


class BlameOut(Out):
    """What set each leaf last. Where `complete` is false, ask again: the rest of the past is read then."""

    complete: bool
    origins: dict[str, OriginOut]
    unknown: list[str]


class BisectIn(InTrashIn):
    """When did it become true?"""

    condition: Annotated[str, Field(min_length=1, max_length=2000, description="Such as: /budget/spent > 100")]
    cursor: Reached = ""


class FlipOut(Out):
    """One time at which the condition became true or false."""

    became: bool
    origin: OriginOut


class BisectOut(Out):
    """The flips, newest first, as far as they were read."""

    condition: str
    holds_last: bool
    held_first: bool
    items: list[FlipOut]
    next: str | None


class TimelineIn(InTrashIn):
    """Which part of it."""

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
    """A transition with the states on either side."""

    etag: str
    state_before_text: str
    state_before: Any
    state_after_text: str
    state_after: Any


class TransitionIn(In):
    """A change that happened elsewhere: each side as JSON, or as text in `state_before_text` and `state_after_text`."""

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
    """A snapshot that was taken."""

    etag: str


class SnapshotIn(In):
    """A snapshot to take."""

    description: Annotated[str, Field(max_length=500)] = ""
    expires_at: Annotated[Seconds | None, Field(description="Null: never.")] = None


PLAIN_SNAPSHOT: Any = Body(SnapshotIn())


class TimelineEntryOut(Out):
    """A transition, a change that was captured, or a snapshot."""

    kind: Literal["transition", "captured", "snapshot"]
    at: Time
    at_seconds: StoredSeconds
    transition: TransitionRowOut | None = None
    captured: TransitionRowOut | None = None
    snapshot: SnapshotRowOut | None = None


class DeletedOut(Out):
    """How many rows went."""

    deleted: int
