"""Three-way merge of two states with a common base.

Both sides are read as changes to the base. Changes that only one side made are taken, those that both made are taken
once, and where both touched one place differently a person has to choose. So it is where both brought a list into
another order, each into one of its own: no merge has an order that nobody made. A list that already has all that the
other side did to it is the merge of the two.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, TypeAlias

from statestore.jsondiff import limits
from statestore.jsondiff.diff import diff
from statestore.jsondiff.parsing import Json, canonical, equal, equal_fast
from statestore.jsondiff.patch import MISSING, Change, Kind, Missing, Truncated, apply
from statestore.jsondiff.pointer import join, resolve, split

Side: TypeAlias = Literal["ours", "theirs"]
# A place in the base, part by part; "+3" in a list is the point ahead of the item with index 3.
_Place: TypeAlias = tuple[str, ...]
_Group: TypeAlias = dict[Side, list[Change]]
_Three: TypeAlias = tuple[Json, Json, Json]

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
    if all(changed.values()):
        base, ours, theirs = _lists_settled(base, ours, theirs)
        changed = {"ours": _changes(base, ours), "theirs": _changes(base, theirs)}
    lists = _disputed_orders((base, ours, theirs), changed)
    agreed = _shared(base, changed, lists)
    disputed: dict[str, _Group] = {}
    conflicts = []
    for place, group in _groups(base, changed, lists):
        if all(group.values()):
            conflict = _conflict(base, place, group)
            disputed[conflict.path] = group
            conflicts.append(conflict)
        else:
            agreed += group["ours"] + group["theirs"]
    kept = [change for group in disputed.values() for change in group["ours"]]
    return Merge(apply(base, [*agreed, *kept]), tuple(conflicts), base, tuple(agreed), disputed)


def _lists_settled(base: Json, ours: Json, theirs: Json) -> _Three:
    """Return the three states with the lists compared as a whole, as far as objects lead to them.

    Where one side has all that the other did to a list, the other is taken to have done nothing there. Where both
    brought it into the same new order, the base is taken to have had that.
    """
    three = base, ours, theirs
    if any(equal_fast(left, right) for left, right in ((base, ours), (base, theirs), (ours, theirs))):
        return three
    if isinstance(base, dict) and isinstance(ours, dict) and isinstance(theirs, dict):
        shared = base.keys() & ours.keys() & theirs.keys()
        settled = {key: _lists_settled(base[key], ours[key], theirs[key]) for key in base if key in shared}
        sides = [
            {key: settled[key][n] if key in settled else value for key, value in side.items()}
            for n, side in enumerate((base, ours, theirs))
        ]
        return sides[0], sides[1], sides[2]
    if isinstance(base, list) and isinstance(ours, list) and isinstance(theirs, list):
        return _list_settled(base, ours, theirs)
    return three


def _list_settled(base: list[Json], ours: list[Json], theirs: list[Json]) -> _Three:
    spelled = [[canonical(item) for item in items] for items in (base, ours, theirs)]
    was, mine, other = spelled
    if _has_all_of(was, mine, other):
        return base, base, theirs
    if _has_all_of(was, other, mine):
        return base, ours, base
    counts = [Counter(keys) for keys in spelled]
    is_everywhere = {key for key in counts[0] if counts[0][key] == counts[1][key] == counts[2][key]}.__contains__
    orders = [[key for key in keys if is_everywhere(key)] for keys in spelled]
    if orders[1] != orders[2]:
        return base, ours, theirs
    items: defaultdict[str, deque[Json]] = defaultdict(deque)
    for key, item in zip(was, base, strict=True):
        items[key].append(item)
    order = iter(orders[1])
    return [items[next(order) if is_everywhere(key) else key].popleft() for key in was], ours, theirs


def _has_all_of(was: list[str], did: list[str], has: list[str]) -> bool:
    """Return whether a list has all that another one did to the base: what that added, removed and reordered."""
    before, after, now = Counter(was), Counter(did), Counter(has)
    added, removed = after - before, before - after
    if not (added <= now and all(now[key] <= after[key] for key in removed)):
        return False
    left, right = ([key for key in keys if key in other] for keys, other in ((did, now), (has, after)))
    is_clear = len(set(left)) == len(left) <= limits.MAX_ORDERED and len(set(right)) == len(right)
    return left == right or (is_clear and _has_order_of(was, did, has))


def _has_order_of(was: list[str], did: list[str], has: list[str]) -> bool:
    """Return whether a list has any two items in the order that another one gave them.

    Those to which that gave none do not count, nor items that stand twice in one of the lists.
    """
    before, now, known = _single(was), _single(has), set(was)
    both = [key for key in _single(did) if key in now and (key in before or key not in known)]
    return all(
        now[left] < now[right]
        for left, right in combinations(both, 2)
        if not (left in before and right in before and before[left] < before[right])
    )


def _single(keys: list[str]) -> dict[str, int]:
    """Return the places of the items that stand once in a list, in its order."""
    counts = Counter(keys)
    return {key: place for place, key in enumerate(keys) if counts[key] == 1}


def _disputed_orders(three: _Three, changed: _Group) -> list[_Place]:
    """Return the lists to which each side gave an order that the other has not."""
    found: dict[Side, dict[_Place, list[Change]]] = {side: defaultdict(list) for side in SIDES}
    for side in SIDES:
        for change in changed[side]:
            parent = split(change.before_path)[:-1]
            if change.before_path and isinstance(resolve(three[0], join(parent)), list):
                found[side][parent].append(change)
    return [
        place for place, mine in found["ours"].items()
        if place in found["theirs"] and _is_disputed(three, place, mine, found["theirs"][place])
    ]  # fmt: skip


def _is_disputed(three: _Three, place: _Place, mine: list[Change], other: list[Change]) -> bool:
    """Return whether both sides moved items of a list, ordered them, or put the same one in, each differently."""
    moves = [{(c.before_path, c.before_slot) for c in changes if c.kind is Kind.MOVED} for changes in (mine, other)]
    if moves[0] - moves[1] and moves[1] - moves[0]:
        return True
    base, ours, theirs = three
    paths = join(place), mine[0].after_path.rpartition("/")[0], other[0].after_path.rpartition("/")[0]
    lists = [resolve(state, path) for state, path in zip((base, ours, theirs), paths, strict=True)]
    if max(len(items) for items in lists if isinstance(items, list)) > limits.MAX_ORDERED:
        return False
    was, did, has = ([canonical(item) for item in items] for items in lists if isinstance(items, list))
    if not _has_order_of(was, did, has) and not _has_order_of(was, has, did):
        return True
    left, right = _arrivals(mine), _arrivals(other)
    return any(
        left[key] != right[key] for key in left.keys() & right.keys() & _single(did).keys() & _single(has).keys()
    )


def _arrivals(changes: list[Change]) -> dict[str, tuple[Kind, str]]:
    """Return how each item came into a list that was not there."""
    arrived = {Kind.ADDED, Kind.REPLACED}
    return {
        canonical(change.after): (change.kind, change.before_path)
        for change in changes
        if change.kind in arrived and not isinstance(change.after, Missing)
    }


def _is_in(place: _Place, lists: Iterable[_Place]) -> bool:
    return any(place[: len(whole)] == whole for whole in lists)


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


def _shared(base: Json, changed: _Group, lists: list[_Place]) -> list[Change]:
    """Take out of both sides what both did, and return it once. Items put in at one point count only all together."""
    by_place: dict[Side, dict[tuple[_Place, ...], list[Change]]] = {side: defaultdict(list) for side in SIDES}
    for side in SIDES:
        for change in changed[side]:
            places = tuple(_places(base, change))
            if not _is_in(places[0], lists):
                by_place[side][places].append(change)
    twins: list[tuple[Change, Change]] = []
    for places, mine in by_place["ours"].items():
        counterparts = by_place["theirs"].get(places, [])
        if len(mine) == len(counterparts) and all(map(_is_one, mine, counterparts)):
            twins += zip(mine, counterparts, strict=True)
    return _in_one_order(base, changed, twins)


def _in_one_order(base: Json, changed: _Group, twins: list[tuple[Change, Change]]) -> list[Change]:
    """Take what both did out of both sides, and return it once, as the side did it that has more at the same point.

    What arrives at one point of a list is ordered by where it stands afterwards, which each side knows of its own items
    only. So where both have more there, all of it is left to the conflict.
    """
    both: set[Change] = {change for pair in twins for change in pair}
    more = {side: {_places(base, change)[-1] for change in changed[side] if change not in both} for side in SIDES}
    at_point: dict[_Place, list[tuple[Change, Change]]] = defaultdict(list)
    for pair in twins:
        at_point[_places(base, pair[0])[-1]].append(pair)
    shared: list[Change] = []
    for point, pairs in at_point.items():
        if (point in more["ours"] and point in more["theirs"]) or not _in_same_order(point, pairs):
            both -= {change for pair in pairs for change in pair}
        else:
            shared += [other if point in more["theirs"] else mine for mine, other in pairs]
    for side in SIDES:
        changed[side] = [change for change in changed[side] if change not in both]
    return shared


def _in_same_order(point: _Place, pairs: list[tuple[Change, Change]]) -> bool:
    """Return whether both sides have what arrives at a point of a list in one order."""
    if not (point and point[-1].startswith("+")):
        return True
    orders = [[int(split(pair[side].after_path)[-1]) for pair in pairs] for side in (0, 1)]
    return sorted(range(len(pairs)), key=orders[0].__getitem__) == sorted(range(len(pairs)), key=orders[1].__getitem__)


def _is_one(left: Change, right: Change) -> bool:
    if left.kind is not right.kind:
        return False
    if isinstance(left.after, Missing) or isinstance(right.after, Missing):
        return left.after is right.after
    return equal(left.after, right.after)


def _groups(base: Json, changed: _Group, lists: list[_Place]) -> Iterator[tuple[_Place, _Group]]:
    """Yield the changes that touch one another, of one side or of both, with the place that holds them all.

    All that is in one of some lists belongs together.
    """
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
    for whole in lists:
        inside = [change for place, changes in at.items() if _is_in(place, [whole]) for change in changes]
        for change in inside:
            groups.unite(inside[0], change)
    united: dict[Change, _Group] = {}
    for change, side in sides.items():
        united.setdefault(groups.leader(change), {"ours": [], "theirs": []})[side].append(change)
    for group in united.values():
        places = [place for changes in group.values() for change in changes for place in _places(base, change)]
        places += [whole for whole in lists if any(_is_in(place, [whole]) for place in places)]
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
