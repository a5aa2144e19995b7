"""The changes between two states: what one is, and any choice of them applied or inverted."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from operator import itemgetter
from typing import Final

from statestore.jsondiff import limits
from statestore.jsondiff.parsing import Json, equal
from statestore.jsondiff.pointer import item_index, split


class Kind(StrEnum):
    """What happened to a value."""

    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    MOVED = "moved"


class Missing(Enum):
    """The type of MISSING: no value, as opposed to null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

_INVERSE: Final = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}


class Truncated(ValueError):
    """The list of changes is cut, so that it does not turn one state into the other."""


class DoesNotFit(ValueError):
    """The changes were computed for another state."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One difference between two states. Paths are JSON Pointers, each into the state of its side.

    Of an added list item `before_path` is the insertion point: ahead of the item that has this index. Of a removed
    one `after_path` is likewise the point at which it is missing. Only a moved item has both an old and a new place
    in either state: the slots are where it goes in the state before, and where it would return to in the state after.
    Compared by identity, since == would take a change of 1 for a change of true.
    """

    kind: Kind
    before_path: str
    after_path: str
    before: Json | Missing
    after: Json | Missing
    before_slot: str | None = None
    after_slot: str | None = None

    @property
    def path(self) -> str:
        """Where a reader of the state after finds it; for what was removed, where it was."""
        return self.before_path if self.kind is Kind.REMOVED else self.after_path


@dataclass(frozen=True, slots=True)
class Diff:
    """The changes from one state to another, in the reading order of the state after.

    `truncated`: there are more than MAX_CHANGES, and only the first are listed. `coarse`: some container is replaced
    whole, since its changes are too many to be read or too dear to be found.
    """

    changes: tuple[Change, ...]
    truncated: bool = False
    coarse: bool = False

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    @property
    def counts(self) -> dict[Kind, int]:
        """The number of listed changes of each kind, zeros included."""
        numbers = Counter(change.kind for change in self.changes)
        return {kind: numbers[kind] for kind in Kind}


def invert(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the inverse changes, from the state after to the state before."""
    return tuple(
        Change(
            _INVERSE.get(change.kind, change.kind),
            change.after_path,
            change.before_path,
            change.after,
            change.before,
            change.after_slot,
            change.before_slot,
        )
        for change in changes
    )


@dataclass(slots=True)
class Edit:
    """The edits at one place: of the value itself, of its members, and below."""

    change: Change | None = None
    members: dict[str, "Edit"] = field(default_factory=dict)
    inserts: list[tuple[str, Change]] = field(default_factory=list)

    def at(self, parts: Iterable[str]) -> "Edit":
        """Return the edit of a child, created if needed."""
        edit = self
        for part in parts:
            edit = edit.members.setdefault(part, Edit())
        return edit

    @property
    def takes_away(self) -> bool:
        """Whether the value is removed or moved away."""
        return self.change is not None and self.change.kind in (Kind.REMOVED, Kind.MOVED)


def apply(state: Json, changes: Iterable[Change]) -> Json:
    """Return the state with changes applied: all of a diff, or some of them in any order.

    Each change goes where its before_path says, as if it were alone; what is inserted at one point keeps the order
    that it has in the state after. `state` is not altered; the result shares its untouched parts with it and with
    the changes. Raises DoesNotFit if a changed value is not as it was, Truncated for a Diff that is.
    """
    if isinstance(changes, Diff) and changes.truncated:
        raise Truncated(
            f"There are more than {limits.MAX_CHANGES:,} changes, and not all are listed."
            " Restore the whole state instead."
        )
    return _rebuilt(state, planned(changes))


def planned(changes: Iterable[Change]) -> Edit:
    """Return the tree of edits, from the top of the state before."""
    root = Edit()
    for change in changes:
        if change.kind is not Kind.ADDED:
            root.at(split(change.before_path)).change = change
        if change.kind in (Kind.ADDED, Kind.MOVED):
            *parent, last = split(change.before_slot or change.before_path)
            root.at(parent).inserts.append((last, change))
    return root


def _rebuilt(value: Json, edit: Edit) -> Json:
    change = edit.change
    if change is not None and (isinstance(change.before, Missing) or not equal(value, change.before)):
        raise DoesNotFit(f"The value at {change.before_path or 'the root'} has changed since the comparison.")
    if change is not None and not isinstance(change.after, Missing):
        return change.after
    if not edit.members and not edit.inserts:
        return value
    if isinstance(value, dict):
        return _rebuilt_object(value, edit)
    if isinstance(value, list):
        return _rebuilt_list(value, edit)
    raise DoesNotFit("A change is inside a value that has no members.")


def _rebuilt_object(value: dict[str, Json], edit: Edit) -> dict[str, Json]:
    rebuilt = dict(value)
    for key, inner in edit.members.items():
        if key not in value:
            raise DoesNotFit(f"The key {key!r} does not exist.")
        rebuilt[key] = _rebuilt(value[key], inner)
        if inner.takes_away:
            del rebuilt[key]
    for key, change in edit.inserts:
        if key in value:
            raise DoesNotFit(f"The key {key!r} already exists.")
        if not isinstance(change.after, Missing):
            rebuilt[key] = change.after
    return rebuilt


def _rebuilt_list(value: list[Json], edit: Edit) -> list[Json]:
    arriving: defaultdict[int, list[tuple[int, Json]]] = defaultdict(list)
    for slot, change in edit.inserts:
        place, order = _index(slot, end=len(value) + 1), _index(split(change.after_path)[-1])
        if not isinstance(change.after, Missing):
            arriving[place].append((order, change.after))
    members = {_index(part, end=len(value)): inner for part, inner in edit.members.items()}
    rebuilt: list[Json] = []
    for place, item in enumerate(value):
        rebuilt += _in_order(arriving[place]) if place in arriving else ()
        inner = members.get(place)
        kept = item if inner is None else _rebuilt(item, inner)
        if inner is None or not inner.takes_away:
            rebuilt.append(kept)
    return rebuilt + _in_order(arriving[len(value)])


def _in_order(arriving: list[tuple[int, Json]]) -> list[Json]:
    return [item for _, item in sorted(arriving, key=itemgetter(0))]


def _index(part: str, *, end: int = sys.maxsize) -> int:
    place = item_index(part)
    if place is None or place >= end:
        raise DoesNotFit(f"The list has no index {part}.")
    return place
