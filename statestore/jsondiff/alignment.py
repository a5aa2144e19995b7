"""Alignment of two lists: which items are unchanged, edited, moved, removed or added."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import Final, NamedTuple, TypeAlias

from statestore.jsondiff import limits
from statestore.jsondiff.budget import Budget
from statestore.jsondiff.lcs import Match, common_ends, common_subsequence, pair_occurrences
from statestore.jsondiff.parsing import Json, canonical, equal_fast, fingerprint

# Two items of a list with the same value in the first of these fields that they have are one item.
IDENTITY_FIELDS: Final = ("id", "key", "name", "path")

# Items that differ in one of these are never one item; a name or a path may be edited.
FIXED_FIELDS: Final = ("id", "key")


class Move(NamedTuple):
    """An item that is the same but stands elsewhere: its indexes; slot and point are as in Alignment."""

    before: int
    after: int
    slot: int
    point: int


@dataclass(slots=True)
class Alignment:
    """The items of two lists that are not both where and what they were, as pairs of (before, after) index.

    The after index of a removed item is the point of the after list at which it is missing. The before index of an
    added one is the slot of the before list into which it goes: ahead of the item that has that index.
    """

    edited: list[Match]
    removed: list[Match] = field(default_factory=list)
    added: list[Match] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)


def align(before: list[Json], after: list[Json], budget: Budget) -> Alignment | None:
    """Return the alignment, or None if it exceeds the budget.

    Equal content matches first, in order; what is left of equal content has moved; the rest is paired between its
    matched neighbours, by identity field and then by likeness.
    """
    head, tail = common_ends(before, after, equal_fast)
    left, right = range(head, len(before) - tail), range(head, len(after) - tail)
    found = _matched(before, left, after, right, budget)
    if found is None:
        return None
    matches, left_rest, right_rest = found
    moves = pair_occurrences(left_rest.items(), right_rest.items())
    for i, j in moves:
        del left_rest[i], right_rest[j]
    edited: list[Match] = []
    for left_gap, right_gap in _gaps(matches, left, right):
        lefts = [(i, before[i]) for i in left_gap if i in left_rest]
        rights = [(j, after[j]) for j in right_gap if j in right_rest]
        edited += _paired(lefts, rights, budget)
    return _placed(edited, moves, _gaps(sorted(matches + edited), left, right))


_Keys: TypeAlias = dict[int, Hashable]


def _matched(
    before: list[Json], left: range, after: list[Json], right: range, budget: Budget
) -> tuple[list[Match], _Keys, _Keys] | None:
    """Return the matches by content, and the exact keys of what is left over on either side.

    Quick keys match all but items whose own keys were reordered. Where they missed a match that way, some item and
    its equal are left over: then all is matched again by the exact keys, which take several times as long.
    """
    if not budget.consume(25 * (len(left) + len(right))):
        return None
    left_keys = {i: _quick_key(before[i], budget) for i in left}
    right_keys = {j: _quick_key(after[j], budget) for j in right}
    matches = _by_key(left_keys, right_keys, budget)
    if not budget.consume(0):
        return None
    if not left_keys or not right_keys or (not matches and len(left) == len(right) == 1):
        # Nothing can have moved. A single pair that is the same after all will turn out to be.
        return matches, left_keys, right_keys
    if not budget.consume(limits.EXACT_KEY_UNITS * (len(left_keys) + len(right_keys))):
        return None
    left_rest = {i: _exact_key(before[i], budget) for i in left_keys}
    right_rest = {j: _exact_key(after[j], budget) for j in right_keys}
    twice = set(left_rest.values()) & set(right_rest.values())
    moved = [before[i] for i, key in left_rest.items() if type(key) is tuple and key in twice]
    if moved and _any_reordered(moved, [*before[left.start : left.stop], *after[right.start : right.stop]]):
        left_rest = {i: left_rest.get(i) or _exact_key(before[i], budget) for i in left}
        right_rest = {j: right_rest.get(j) or _exact_key(after[j], budget) for j in right}
        matches = _by_key(left_rest, right_rest, budget)
    return (matches, left_rest, right_rest) if budget.consume(0) else None


def _by_key(left: _Keys, right: _Keys, budget: Budget) -> list[Match]:
    """Return the matches, and take them out of the keys."""
    left_places, right_places = list(left), list(right)
    found = common_subsequence(list(left.values()), list(right.values()), budget)
    matches = [(left_places[i], right_places[j]) for i, j in found]
    for i, j in matches:
        del left[i], right[j]
    return matches


def _any_reordered(moved: list[Json], items: list[Json]) -> bool:
    """Return whether a moved item may also stand among the items with its keys in another order."""
    if len(moved) > limits.MAX_MOVED_LOOKED_UP:
        return True
    spelled = [(item, fingerprint(item)) for item in moved]
    return any(item == twin and fingerprint(twin) != known for item, known in spelled for twin in items)


def _quick_key(item: Json, budget: Budget) -> Hashable:
    """Return the fingerprint of an item that includes its key order."""
    if type(item) is str:
        return item
    key = fingerprint(item)
    budget.consume(len(key) // 50)
    return key


def _exact_key(item: Json, budget: Budget) -> Hashable:
    """Return the fingerprint of an item: equal for equal items only."""
    if not isinstance(item, dict | list):
        return _quick_key(item, budget)
    text = canonical(item)
    budget.consume(len(text) // 7)
    # A tuple, to stay apart from a text that reads the same.
    return (text,)


def _gaps(matches: Iterable[Match], left: range, right: range) -> Iterator[tuple[range, range]]:
    """Yield the gaps between neighbouring matches that have items on either side."""
    left_start, right_start = left.start, right.start
    for i, j in (*matches, (left.stop, right.stop)):
        if i > left_start or j > right_start:
            yield range(left_start, i), range(right_start, j)
        left_start, right_start = i + 1, j + 1


def _placed(edited: list[Match], moves: list[Match], gaps: Iterable[tuple[range, range]]) -> Alignment:
    alignment = Alignment(edited)
    departed, arrived = {i for i, _ in moves}, {j for _, j in moves}
    points: dict[int, int] = {}
    slots: dict[int, int] = {}
    for left, right in gaps:
        # Within a gap what was removed is read ahead of what was added.
        points |= dict.fromkeys(left, right.start)
        slots |= dict.fromkeys(right, left.stop)
    alignment.removed += [(i, point) for i, point in points.items() if i not in departed]
    alignment.added += [(slot, j) for j, slot in slots.items() if j not in arrived]
    alignment.moved += [Move(i, j, slots[j], points[i]) for i, j in moves]
    return alignment


_Items: TypeAlias = Sequence[tuple[int, Json]]


def _paired(lefts: _Items, rights: _Items, budget: Budget) -> list[Match]:
    """Return increasing pairs of unmatched items of one gap that are edits of each other."""
    if not lefts or not rights:
        return []
    pairs: list[Match] = []
    known = _same_identity(lefts, rights, budget)
    for left, right in _gaps(known, range(len(lefts)), range(len(rights))):
        pairs += _alike(lefts[left.start : left.stop], rights[right.start : right.stop], budget)
    pairs += [(lefts[i][0], rights[j][0]) for i, j in known]
    return sorted(pairs)


def _same_identity(lefts: _Items, rights: _Items, budget: Budget) -> list[Match]:
    left_known, right_known = _identities(lefts), _identities(rights)
    pairs = common_subsequence(list(left_known), list(right_known), budget)
    left_places, right_places = list(left_known.values()), list(right_known.values())
    return [(left_places[i], right_places[j]) for i, j in pairs]


def _identities(items: _Items) -> dict[Hashable, int]:
    """Return {identity: index} of the identities that occur once."""
    named = [(identity, place) for place, (_, item) in enumerate(items) if (identity := _identity(item))]
    count = Counter(identity for identity, _ in named)
    return {identity: place for identity, place in named if count[identity] == 1}


def _identity(item: Json) -> tuple[str, str | int] | None:
    if isinstance(item, dict):
        for name in IDENTITY_FIELDS:
            value = item.get(name)
            if type(value) is str or type(value) is int:
                return name, value
    return None


def _alike(lefts: _Items, rights: _Items, budget: Budget) -> list[Match]:
    """Return the increasing pairs with the greatest total similarity."""
    size = sum(len(item) if isinstance(item, dict | list) else 1 for _, item in lefts)
    cells = len(lefts) * len(rights)
    if cells > limits.MAX_CELLS or not budget.consume(20 * cells + 20 * size * len(rights)):
        if not budget.consume(limits.LIKENESS_UNITS * min(len(lefts), len(rights)) + 20 * size):
            return []
        beside = zip(lefts, rights, strict=False)
        return [(i, j) for (i, left), (j, right) in beside if likeness(left, right) >= limits.MIN_OBJECT_SIMILARITY]
    likenesses = [[likeness(left, right) for _, right in rights] for _, left in lefts]
    return [(lefts[i][0], rights[j][0]) for i, j in _heaviest(likenesses)]


def _heaviest(weights: list[list[float]]) -> list[Match]:
    height, width = len(weights), len(weights[0]) if weights else 0
    best = [[0.0] * (width + 1) for _ in range(height + 1)]
    for i in reversed(range(height)):
        for j in reversed(range(width)):
            weight = weights[i][j]
            together = weight + best[i + 1][j + 1] if weight >= limits.MIN_OBJECT_SIMILARITY else 0.0
            best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    pairs: list[Match] = []
    i = j = 0
    while i < height and j < width:
        if weights[i][j] >= limits.MIN_OBJECT_SIMILARITY and best[i][j] == weights[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def likeness(left: Json, right: Json) -> float:
    """Return the similarity of two values, from 0 to 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return _object_likeness(left, right)
    if isinstance(left, str) and isinstance(right, str):
        left, right = _glimpse(left), _glimpse(right)
        return _at_least(sum(common_ends(left, right, eq)), max(len(left), len(right)))
    if isinstance(left, list) and isinstance(right, list):
        return _at_least(sum(common_ends(left, right, eq)), max(len(left), len(right)))
    return 1.0 if type(left) is type(right) and left == right else limits.MIN_SIMILARITY


def _glimpse(text: str) -> str:
    return (
        text if len(text) <= 2 * limits.GLIMPSE_CHARS else text[: limits.GLIMPSE_CHARS] + text[-limits.GLIMPSE_CHARS :]
    )


def _object_likeness(left: dict[str, Json], right: dict[str, Json]) -> float:
    if any(_identity_differs(left.get(name), right.get(name)) for name in FIXED_FIELDS):
        return 0.0
    shared = left.keys() & right.keys()
    total = len(left) + len(right) - len(shared)
    return sum(_member_likeness(left[key], right[key]) for key in shared) / total if total else 1.0


def _identity_differs(left: Json, right: Json) -> bool:
    plain = isinstance(left, str | int) and isinstance(right, str | int)
    return plain and (type(left) is not type(right) or left != right)


def _member_likeness(left: Json, right: Json) -> float:
    if isinstance(left, dict | list) and isinstance(right, dict | list):
        # One level is enough to tell items apart, and keeps the cost of a cell in proportion to the keys.
        return _at_least(min(len(left), len(right)), max(len(left), len(right)))
    return likeness(left, right)


def _at_least(part: int, whole: int) -> float:
    return limits.MIN_SIMILARITY + (1 - limits.MIN_SIMILARITY) * (part / whole if whole else 1.0)
