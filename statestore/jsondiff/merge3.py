"""Three-way merge of two states with a common base.

Both sides are read as changes to the base. Changes that only one side made are taken, those that both made are taken
once, and where both touched one place differently a person has to choose.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from statestore.jsondiff.diff import diff
from statestore.jsondiff.parsing import Json, equal
from statestore.jsondiff.patch import MISSING, Change, Kind, Missing, Truncated, apply
from statestore.jsondiff.pointer import join, resolve, split

Side: TypeAlias = Literal["ours", "theirs"]
# A place in the base, part by part; "+3" in a list is the point ahead of the item with index 3.
_Place: TypeAlias = tuple[str, ...]
_Group: TypeAlias = dict[Side, list[Change]]

SIDES: Final[tuple[Side, Side]] = ("ours", "theirs")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both sides changed differently.

    `path` is a JSON Pointer into the base. Where both put items into a list at one point, it ends in + and the index
    of the item ahead of which they go, and `ours` and `theirs` are the lists of what they put there.
    """

    path: str
    base: Json | Missing
    ours: Json | Missing
    theirs: Json | Missing


@dataclass(frozen=True, slots=True)
class Merge:
    """The result of a merge: `merged` has our side at conflicts."""

    merged: Json
    conflicts: tuple[Conflict, ...]
    base: Json
    agreed: tuple[Change, ...]
    disputed: Mapping[str, _Group]

    def resolved(self, choices: Mapping[str, Side]) -> Json:
        """Return the merged state with the chosen sides, by path; ours for other conflicts.

        Raises KeyError for a path at which nothing conflicts.
        """
        if unknown := set(choices) - set(self.disputed):
            raise KeyError(min(unknown))
        chosen = [change for path, group in self.disputed.items() for change in group[choices.get(path, "ours")]]
        return apply(self.base, [*self.agreed, *chosen])


def merge(base: Json, ours: Json, theirs: Json) -> Merge:
    """Merge two states that both came from `base`.

    Raises TooDeep for a change below MAX_DEPTH levels, Truncated where a side has too many changes to be listed.
    """
    changed: _Group = {"ours": _changes(base, ours), "theirs": _changes(base, theirs)}
    agreed = _shared(base, changed)
    disputed: dict[str, _Group] = {}
    conflicts = []
    for place, group in _groups(base, changed):
        if all(group.values()):
            conflict = _conflict(base, place, group)
            disputed[conflict.path] = group
            conflicts.append(conflict)
        else:
            agreed += group["ours"] + group["theirs"]
    kept = [change for group in disputed.values() for change in group["ours"]]
    return Merge(apply(base, [*agreed, *kept]), tuple(conflicts), base, tuple(agreed), disputed)


def _changes(base: Json, state: Json) -> list[Change]:
    changes = diff(base, state)
    if changes.truncated:
        raise Truncated("There are too many changes to merge. Restore the whole state instead.")
    return list(changes)


def _places(base: Json, change: Change) -> list[_Place]:
    """Return where in the base a change does something: at its value, at the point of its insertion, or at both."""
    places = [] if change.kind is Kind.ADDED else [split(change.before_path)]
    if change.kind in (Kind.ADDED, Kind.MOVED):
        *parent, last = split(change.before_slot or change.before_path)
        is_list = isinstance(resolve(base, join(parent)), list)
        places.append((*parent, f"+{last}" if is_list else last))
    return places


def _shared(base: Json, changed: _Group) -> list[Change]:
    """Take out of both sides what both did, and return it once. Items put in at one point count only all together."""
    by_place: dict[Side, dict[tuple[_Place, ...], list[Change]]] = {side: defaultdict(list) for side in SIDES}
    for side in SIDES:
        for change in changed[side]:
            by_place[side][tuple(_places(base, change))].append(change)
    shared, twins = [], set()
    for places, mine in by_place["ours"].items():
        counterparts = by_place["theirs"].get(places, [])
        if len(mine) == len(counterparts) and all(map(_is_one, mine, counterparts)):
            shared += mine
            twins |= {*mine, *counterparts}
    for side in SIDES:
        changed[side] = [change for change in changed[side] if change not in twins]
    return shared


def _is_one(left: Change, right: Change) -> bool:
    if left.kind is not right.kind:
        return False
    if isinstance(left.after, Missing) or isinstance(right.after, Missing):
        return left.after is right.after
    return equal(left.after, right.after)


def _groups(base: Json, changed: _Group) -> Iterator[tuple[_Place, _Group]]:
    """Yield the changes that touch one another, of one side or of both, with the place that holds them all."""
    sides: dict[Change, Side] = {change: side for side in SIDES for change in changed[side]}
    at: dict[_Place, list[Change]] = defaultdict(list)
    for change in sides:
        for place in _places(base, change):
            at[place].append(change)
    groups = _Groups(sides)
    for place, changes in at.items():
        above = (at[place[:depth]][0] for depth in range(len(place) + 1) if at.get(place[:depth]))
        for change in (*above, *changes[1:]):
            groups.unite(changes[0], change)
    united: dict[Change, _Group] = {}
    for change, side in sides.items():
        united.setdefault(groups.leader(change), {"ours": [], "theirs": []})[side].append(change)
    for group in united.values():
        places = [place for changes in group.values() for change in changes for place in _places(base, change)]
        yield min(places, key=lambda place: (len(place), place)), group


class _Groups:
    """Disjoint sets of changes (union-find): which of them belong together."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._above: dict[Change, Change] = {change: change for change in changes}

    def leader(self, change: Change) -> Change:
        """Return the change that stands for the whole group."""
        while self._above[change] is not change:
            self._above[change] = change = self._above[self._above[change]]
        return change

    def unite(self, left: Change, right: Change) -> None:
        """Make one group of the groups of two changes."""
        self._above[self.leader(left)] = self.leader(right)


def _conflict(base: Json, place: _Place, group: _Group) -> Conflict:
    path = join(place)
    try:
        before: Json | Missing = resolve(base, path)
    except KeyError:
        before = MISSING
    values = {side: _value(base, before, place, group[side]) for side in SIDES}
    return Conflict(path, before, values["ours"], values["theirs"])


def _value(base: Json, before: Json | Missing, place: _Place, changes: list[Change]) -> Json | Missing:
    """Return what one side's changes make of a place."""
    here = [change for change in changes if place in _places(base, change)]
    if not here:
        inside = [change for change in changes if _places(base, change)[0][: len(place)] == place]
        return resolve(apply(base, inside), join(place)) if inside else before
    if place and place[-1].startswith("+") and isinstance(resolve(base, join(place[:-1])), list):
        return [change.after for change in here if not isinstance(change.after, Missing)]
    return MISSING if here[0].kind is Kind.MOVED else here[0].after
