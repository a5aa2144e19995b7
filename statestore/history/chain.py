"""Two sequences of changes of one second put into one order: by the states that each starts from and leads to.

Plain Python. A gap is a change that does not start from the state so far.
"""

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Final, TypeAlias

# A change: the state before and the state after.
Step: TypeAlias = tuple[Hashable, Hashable]

# A gap within the second counts more than one at either end of it, of which there are two.
_GAP: Final = 3


def interleaved(
    first: Sequence[Step],
    second: Sequence[Step],
    starts: AbstractSet[Hashable] = frozenset(),
    ends: AbstractSet[Hashable] = frozenset(),
) -> tuple[list[int], int]:
    """Return from which sequence (0 or 1) to take each next step so that the gaps are fewest, and their number.

    Each sequence keeps its own order. Of the orders with the fewest gaps that one is taken which fits best between
    `starts`, the states that may have been before, and `ends`, those that may have followed; empty if unknown. Of
    several that fit, a step of the first sequence comes first.
    """
    sequences = (first, second)

    @cache
    def fewest(taken: tuple[int, int], last: int | None) -> tuple[int, int | None]:
        """Return the least cost of the gaps from here on, and from which sequence to take the next step."""
        known = starts if last is None else {sequences[last][taken[last] - 1][1]}
        choices = []
        for side in (0, 1):
            if taken[side] < len(sequences[side]):
                is_gap = bool(known) and sequences[side][taken[side]][0] not in known
                cost = is_gap * (1 if last is None else _GAP)
                choices.append((cost + fewest(_advanced(taken, side), side)[0], side))
        if choices:
            return min(choices)
        return int(bool(ends) and bool(known) and known.isdisjoint(ends)), None

    cost, side = fewest((0, 0), None)
    taken, order = (0, 0), list[int]()
    while side is not None:
        order.append(side)
        taken = _advanced(taken, side)
        side = fewest(taken, side)[1]
    return order, cost // _GAP


def _advanced(taken: tuple[int, int], side: int) -> tuple[int, int]:
    return (taken[0] + 1, taken[1]) if side == 0 else (taken[0], taken[1] + 1)
