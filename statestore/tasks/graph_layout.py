"""Who stands where: what is waited for before who waits, and near it."""

from collections import deque
from typing import TypeAlias

# Whom each task waits for; the places through which an edge passes that skips layers.
Waits: TypeAlias = dict[str, list[str]]
Ways: TypeAlias = dict[tuple[str, str], list[tuple[int, int]]]


def in_circles(waits: Waits) -> set[str]:
    """Return the tasks from which a way leads back: those left when all that have none before or after are gone."""
    left = set(waits)
    while True:
        pointed = {other for one in left for other in waits[one] if other in left}
        pointing = {one for one in left if any(other in left for other in waits[one])}
        kept = left & pointed & pointing
        if kept == left:
            return {one for one in left if _leads_back(one, waits, left)}
        left = kept


def _leads_back(start: str, waits: Waits, left: set[str]) -> bool:
    front, seen = deque(waits[start]), set[str]()
    while front:
        one = front.popleft()
        if one == start:
            return True
        if one in left and one not in seen:
            seen.add(one)
            front.extend(waits[one])
    return False


def depths(waits: Waits) -> dict[str, int]:
    """Return the layer of each task, after all that it waits for; the edge that closes a circle does not count."""
    order, backs = _walked(waits)
    found: dict[str, int] = {}
    for one in order:
        before = [found[other] for other in waits[one] if (one, other) not in backs]
        found[one] = max(before, default=-1) + 1
    return found


def _walked(waits: Waits) -> tuple[list[str], set[tuple[str, str]]]:
    """Return the tasks, each after all that it waits for, and the edges that lead back to one on the way to it."""
    awaited = {other for others in waits.values() for other in others}
    order: list[str] = []
    backs: set[tuple[str, str]] = set()
    begun, ended = set[str](), set[str]()
    # Starting from tasks without dependents, so that a cycle is entered where an outside task enters it.
    for start in sorted(waits, key=lambda one: (one in awaited, one)):
        if start in begun:
            continue
        begun.add(start)
        way = [(start, iter(waits[start]))]
        while way:
            one, others = way[-1]
            for other in others:
                if other not in begun:
                    begun.add(other)
                    way.append((other, iter(waits[other])))
                    break
                if other not in ended:
                    backs.add((one, other))
            else:
                way.pop()
                ended.add(one)
                order.append(one)
    return order, backs


def arranged(depths: dict[str, int], waits: Waits) -> tuple[dict[str, int], Ways]:
    """Return the place of each task in its layer, near the middle of what it waits for, and the ways of long edges.

    An edge that skips layers gets a place in each of them, so that it passes between tasks and not behind one.
    """
    places: dict[str, int] = {}
    ways: Ways = {}
    for layer in range(max(depths.values(), default=0) + 1):
        entries: list[tuple[float, str, tuple[str, str] | None]] = []
        for one in (one for one, depth in depths.items() if depth == layer):
            before = [_reached(places, ways, one, other) for other in waits[one] if depths[other] < layer]
            entries.append((sum(before) / len(before) if before else 0.0, one, None))
        for one, others in waits.items():
            passing = [other for other in others if depths[other] < layer < depths[one]]
            entries += [(float(_reached(places, ways, one, other)), one + other, (one, other)) for other in passing]
        for place, (_, name, edge) in enumerate(sorted(entries, key=lambda entry: entry[:2])):
            if edge is None:
                places[name] = place
            else:
                ways.setdefault(edge, []).append((layer, place))
    return places, ways


def _reached(places: dict[str, int], ways: Ways, one: str, other: str) -> int:
    """Return the place that the edge from what a task waits for has got to."""
    way = ways.get((one, other))
    return way[-1][1] if way else places[other]
