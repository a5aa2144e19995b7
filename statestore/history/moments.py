"""The grammar of any point of an agent's past: `now`, `snapshot:ID`, `transition:ID:before|after`, `at:TIME`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from statestore.db.ids import RowId, from_address, to_address
from statestore.errors import ValidationError

Side: TypeAlias = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Now:
    """The agent's present state."""

    def __str__(self) -> str:
        return "now"


@dataclass(frozen=True, slots=True)
class AtSnapshot:
    """The state that a snapshot holds."""

    snapshot_id: RowId

    def __str__(self) -> str:
        return f"snapshot:{to_address(self.snapshot_id)}"


@dataclass(frozen=True, slots=True)
class AtTransition:
    """The state on one side of a transition."""

    transition_id: RowId
    side: Side

    def __str__(self) -> str:
        return f"transition:{to_address(self.transition_id)}:{self.side}"


@dataclass(frozen=True, slots=True)
class AtTime:
    """The state as it was at an instant, in whole seconds since 1970 UTC."""

    seconds: int

    def __str__(self) -> str:
        return f"at:{self.seconds}"


Moment: TypeAlias = Now | AtSnapshot | AtTransition | AtTime

_HINT = "Use now, snapshot:ID, transition:ID:before, transition:ID:after or at:TIME."


def parse(text: str) -> Moment:
    """Return the moment that a text names. Ids stand in it as they stand in URLs."""
    kind, _, rest = text.partition(":")
    if text == "now":
        return Now()
    if kind == "snapshot" and rest:
        return AtSnapshot(_id(rest))
    if kind == "at" and rest:
        return AtTime(parse_time(rest))
    if kind == "transition":
        transition_id, _, side = rest.rpartition(":")
        if transition_id and side in ("before", "after"):
            return AtTransition(_id(transition_id), side)  # type: ignore[arg-type]
    raise ValidationError(f"“{text[:80]}” is not a valid moment. {_HINT}", field="moment")


def _id(address: str) -> RowId:
    try:
        return from_address(address)
    except ValueError:
        raise ValidationError(f"“{address[:80]}” is not a valid id. {_HINT}", field="moment") from None


def parse_time(text: str) -> int:
    """Return whole seconds since 1970 UTC from a number or an ISO 8601 time; a time without a zone is UTC."""
    try:
        if text.isascii() and text.lstrip("-").isdigit() and len(text) <= 15:
            seconds = int(text)
        else:
            moment = datetime.fromisoformat(text)
            seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValidationError(
            f"“{text[:40]}” is not a valid time. Use seconds since 1970, or 2026-11-21T18:02:11Z."
        ) from None
    if seconds < 0:
        raise ValidationError(f"“{text[:40]}” is before 1970. Choose a later time.")
    return seconds


def check_range(start: int | None, end: int | None) -> None:
    """Raise ValidationError for a range of time that ends before it starts; None does not limit it."""
    if start is not None and end is not None and end < start:
        raise ValidationError("The end is before the start. Choose an earlier start or a later end.", field="end")
