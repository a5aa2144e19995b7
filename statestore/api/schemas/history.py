"""An agent's history: states, diffs, value histories, blame, bisect, timeline."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field

from statestore.api import serializers
from statestore.api.schemas.agents import Moment
from statestore.api.schemas.common import ADDRESS, CURSOR, InTrashIn, Out, PageIn, RowOut, Seconds, SparseOut
from statestore.api.schemas.fields import (
    Cursor,
    OptionalText,
    ParsedJson,
    Raw,
    Size,
    StoredJson,
    StoredSeconds,
    StoredText,
    Text,
    TextOrNull,
    Time,
    api_url,
)
from statestore.api.schemas.snapshots import SnapshotRowOut
from statestore.api.schemas.transitions import TransitionRowOut
from statestore.history import ChangeRecord, KnownState
from statestore.history.past import CURSOR_CHARACTERS, Record
from statestore.jsondiff.diff import MISSING
from statestore.models import sha256

Path = Annotated[str, Field(max_length=2000, description='A JSON Pointer such as `/plan/goal`; "" is the whole state.')]
Reached = Annotated[
    str, Field(max_length=CURSOR_CHARACTERS, pattern=CURSOR, description="`next` of the previous response.")
]


_IsPresent = BeforeValidator(lambda value: value is not MISSING)


class ChangesIn(PageIn):
    """Which changes across agents. Without times those of the last 24 hours."""

    start: Seconds | None = None
    end: Seconds | None = None
    kind: Literal["", "transition", "restore", "snapshot", "edit"] = ""
    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: agents without a namespace.")] = None
    reason: Annotated[str, Field(max_length=200, description="A text in the reason or description.")] = ""
    person: Annotated[str, Field(max_length=200, description="Who made the change.")] = ""


class RecordedChangeOut(Out):
    """A change of an agent, or an edit of a task or session. Sizes are those of the agent's state."""

    kind: Literal["transition", "restore", "snapshot", "edit"]
    id: Text
    at: Time
    at_seconds: StoredSeconds
    agent_id: TextOrNull
    text: Text
    by: TextOrNull
    size_before: Size
    size_after: Size
    url: str | None
    page: str | None

    @classmethod
    def of(cls, row: ChangeRecord, /, **values: object) -> Self:
        """Return the response for a change."""
        noun, row_id = row.page or ("", None)
        return super().of(
            row,
            id=row.row.pk,
            size_before=getattr(row.row, "size_before", None),
            size_after=getattr(row.row, "size_after", getattr(row.row, "size", None)),
            url=serializers.url(f"api:get_{noun}", row_id) if noun else None,
            page=serializers.url(noun, row_id) if noun else None,
            **values,
        )


class MomentOut(Out):
    """One side of a comparison."""

    agent_id: Text
    moment: Annotated[str, BeforeValidator(str)]
    label: Text
    at: Time
    at_seconds: StoredSeconds
    hash: Annotated[str, Field(description="SHA-256 of the stored bytes.")]

    @classmethod
    def of(cls, row: KnownState, /, **values: object) -> Self:
        """Return the response for a state at a moment."""
        return super().of(row, **{"hash": sha256(row.text), **values})


class StateOut(MomentOut, RowOut):
    """The state at a moment, and how certain it is."""

    is_exact: Annotated[bool, Field(description="False if an unrecorded change came after it.")]
    doubt_until_seconds: StoredSeconds
    state_data: StoredText
    state: StoredJson = Field(validation_alias="state_data")
    raw: Raw = None


class StateIn(InTrashIn):
    """A moment."""

    moment: Moment = "now"


class DiffIn(InTrashIn):
    """Two moments."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[Moment, Field(alias="from", examples=["at:2026-11-21T18:00:00Z"])]
    to: Moment = "now"
    other: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Take `to` from this other agent.")] = ""


class ChangeOut(SparseOut):
    """One difference. `before` or `after` is absent if the path did not exist on that side."""

    kind: Annotated[Literal["added", "removed", "replaced", "moved"], BeforeValidator(str)]
    path: Text
    before_path: Text
    after_path: Text
    before: ParsedJson = None
    after: ParsedJson = None


Coarse = Annotated[bool, Field(description="Parts that differ in too many values are listed as replaced as a whole.")]


class DiffOut(Out):
    """The differences between two moments. If a state is not JSON, `why_text` says so and `changes` is empty."""

    before: MomentOut
    after: MomentOut
    equal: bool
    changes: list[ChangeOut]
    truncated: Annotated[bool, Field(description="There are more changes than listed.")]
    coarse: Coarse
    why_text: str | None


class OriginOut(Out):
    """The cause of a change: a transition, or if null, an unrecorded change after `after_seconds`."""

    transition_id: OptionalText = Field(validation_alias="step_id")
    transition: Annotated[str | None, api_url("get_transition")] = Field(validation_alias="step_id")
    at: Time
    at_seconds: StoredSeconds
    reason: OptionalText
    after_seconds: StoredSeconds


class ValueOut(Out):
    """One change of the value."""

    origin: OriginOut
    path: Text
    was_there: Annotated[bool, _IsPresent] = Field(validation_alias="before")
    is_there: Annotated[bool, _IsPresent] = Field(validation_alias="after")
    before: ParsedJson
    after: ParsedJson


class PathHistoryIn(InTrashIn):
    """A path; for the next page, with `next` and `place` of the previous response."""

    path: Annotated[Path, Field(examples=["/plan/goal"])]
    cursor: Reached = ""
    place: Path | None = None


class PathHistoryOut(Out):
    """The values of a path, newest first."""

    path: str
    place: Text
    items: list[ValueOut] = Field(validation_alias="changes")
    next: Cursor = Field(validation_alias="reached")


class BlameOut(Out):
    """The change that last set each value. If `complete` is false, repeat the call to read more of the history."""

    complete: bool = Field(validation_alias="is_complete")
    origins: dict[Text, OriginOut]
    unknown: list[Text]


class BisectIn(InTrashIn):
    """A condition on the state."""

    condition: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2000,
            description="A comparison of a path with a value.",
            examples=["/budget/spent > 100"],
        ),
    ]
    cursor: Reached = ""


class FlipOut(Out):
    """One change of the condition to true or false."""

    became: bool
    origin: OriginOut


class BisectOut(Out):
    """The changes of the condition, newest first, as far back as was read."""

    condition: str
    holds_last: bool = Field(validation_alias="held_last")
    held_first: bool
    items: list[FlipOut] = Field(validation_alias="flips")
    next: Cursor = Field(validation_alias="reached")


class TimelineIn(InTrashIn):
    """A page of the timeline."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(max_length=16000, pattern=CURSOR)] = ""


class TimelineEntryOut(SparseOut):
    """A transition, a captured change or a snapshot."""

    kind: Literal["transition", "captured", "snapshot"]
    at: Time
    at_seconds: StoredSeconds
    transition: TransitionRowOut | None = None
    captured: TransitionRowOut | None = None
    snapshot: SnapshotRowOut | None = None

    @classmethod
    def of(cls, row: Record, /, **values: object) -> Self:
        """Return the response for a record, which is the member named by its kind."""
        return cls.model_validate({"kind": row.kind, "at": row.at, row.kind: _ROWS[row.kind](row.row), **values})


_ROWS: Final[dict[str, Callable[[Any], Out]]] = {
    "transition": TransitionRowOut.of,
    "captured": TransitionRowOut.of_captured,
    "snapshot": SnapshotRowOut.of,
}
