"""What moments are called: a snapshot by its description, a transition by its reason, both by their time."""

from collections.abc import Iterable
from dataclasses import dataclass

from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.history import moments
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet


@dataclass(frozen=True, slots=True)
class MomentName:
    """What a record says of itself, and its time."""

    text: str
    at: int


def names_of(
    texts: Iterable[str], *, snapshots: SnapshotQuerySet, transitions: TransitionQuerySet
) -> dict[str, MomentName]:
    """Return {moment: its name} for those of some moments whose record is among the given ones, by two queries."""
    by_snapshot: dict[str, list[str]] = {}
    by_transition: dict[str, list[str]] = {}
    for text in texts:
        match _parsed(text):
            case moments.AtSnapshot(str(row_id)):
                by_snapshot.setdefault(row_id, []).append(text)
            case moments.AtTransition(str(row_id), _):
                by_transition.setdefault(row_id, []).append(text)
    names: dict[str, MomentName] = {}
    with translated_errors():
        if by_snapshot:
            rows = snapshots.filter(pk__in=list(by_snapshot)).order_by()
            for pk, description, at in rows.values_list("pk", "description", "created_at"):
                names |= dict.fromkeys(by_snapshot.get(pk, ()), MomentName(str(description or ""), at))
        if by_transition:
            changes = transitions.filter(pk__in=list(by_transition)).order_by()
            for pk, reason, at in changes.values_list("pk", "reason", "timestamp"):
                names |= dict.fromkeys(by_transition.get(pk, ()), MomentName(str(reason or ""), at))
    return names


def _parsed(text: str) -> moments.Moment | None:
    try:
        return moments.parse(text)
    except ValidationError:
        return None
