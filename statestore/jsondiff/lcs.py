"""Longest common subsequences: the core of both the JSON and the text diff."""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from statestore.jsondiff import limits
from statestore.jsondiff.budget import Budget

Match: TypeAlias = tuple[int, int]
Items = TypeVar("Items", list[Any], str)

# A run of equal items on the way through the edit graph: the run before it, where it starts on either side, its length.
_Run: TypeAlias = "tuple[_Run, int, int, int] | None"

# A rising row of pairs, last pair first: the rest of the row, the pair.
_Chain: TypeAlias = "tuple[_Chain, Match] | None"


def common_subsequence(left: Sequence[Hashable], right: Sequence[Hashable], budget: Budget) -> list[Match]:
    """Return increasing pairs of indexes at which two sequences have equal items.

    As many pairs as there can be, while MAX_EDITS and the effort suffice; else many, in n log n steps.
    """
    shared = set(left) & set(right)
    # What the other side lacks can't match: without it, thousands of edited items cost nothing.
    left_places = [place for place, item in enumerate(left) if item in shared]
    right_places = [place for place, item in enumerate(right) if item in shared]
    matches = _match_shared([left[i] for i in left_places], [right[j] for j in right_places], budget)
    return [(left_places[i], right_places[j]) for i, j in matches]


def _match_shared(left: list[Hashable], right: list[Hashable], budget: Budget) -> list[Match]:
    head, tail = common_ends(left, right, _equal)
    left_end, right_end = len(left) - tail, len(right) - tail
    left_core, right_core = left[head:left_end], right[head:right_end]
    core = _longest(left_core, right_core, budget)
    if core is None:
        core = rising(pair_occurrences(enumerate(left_core), enumerate(right_core)))
    return [
        *((i, i) for i in range(head)),
        *((head + i, head + j) for i, j in core),
        *((left_end + i, right_end + i) for i in range(tail)),
    ]


def common_ends(left: Items, right: Items, equal: Callable[[Items, Items], bool]) -> tuple[int, int]:
    """Return the lengths of the common prefix and, after it, of the common suffix of two lists or texts.

    `equal` compares slices: halving them keeps the work in C, where a loop over the items would not be.
    """
    head = _common_head(left, right, equal)
    return head, _common_head(left[head:][::-1], right[head:][::-1], equal)


def _common_head(left: Items, right: Items, equal: Callable[[Items, Items], bool]) -> int:
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if equal(left[low:middle], right[low:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def _equal(left: object, right: object) -> bool:
    return left == right


def _longest(left: list[Hashable], right: list[Hashable], budget: Budget) -> list[Match] | None:
    """Return the longest match, by Myers's greedy walk through the edit graph; None if that takes too much."""
    width, height = len(left), len(right)
    most = min(limits.MAX_EDITS, width + height)
    # Diagonals run from -most to most: Python's negative indexes hold the negative ones.
    reached = [0] * (2 * most + 3)
    runs: list[_Run] = [None] * (2 * most + 3)
    for edits in range(most + 1):
        steps = 0
        for diagonal in range(-edits, edits + 1, 2):
            below, above = diagonal - 1, diagonal + 1
            down = diagonal == -edits or (diagonal != edits and reached[below] < reached[above])
            start, run = (reached[above], runs[above]) if down else (reached[below] + 1, runs[below])
            x = start
            while x < width and x - diagonal < height and left[x] == right[x - diagonal]:
                x += 1
            reached[diagonal] = x
            runs[diagonal] = run if x == start else (run, start, start - diagonal, x - start)
            steps += 4 + x - start
            if x >= width and x - diagonal >= height:
                return _unrolled(runs[diagonal])
        if not budget.consume(steps):
            break
    return None


def _unrolled(run: _Run) -> list[Match]:
    matches: list[Match] = []
    while run is not None:
        run, x, y, length = run
        matches.extend((x + step, y + step) for step in reversed(range(length)))
    return matches[::-1]


def pair_occurrences(left: Iterable[tuple[int, Hashable]], right: Iterable[tuple[int, Hashable]]) -> list[Match]:
    """Return the places of equal items in two streams of (place, item): first with first, second with second."""
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for place, item in right:
        waiting[item].append(place)
    return [(place, waiting[item].popleft()) for place, item in left if waiting.get(item)]


def rising(pairs: Iterable[Match]) -> list[Match]:
    """Return the most pairs whose second members rise, out of pairs whose first members do."""
    ends: list[int] = []
    chains: list[_Chain] = []
    for pair in pairs:
        length = bisect_left(ends, pair[1])
        chain = (chains[length - 1] if length else None, pair)
        ends[length : length + 1] = [pair[1]]
        chains[length : length + 1] = [chain]
    link = chains[-1] if chains else None
    matches: list[Match] = []
    while link is not None:
        link, pair = link
        matches.append(pair)
    return matches[::-1]
