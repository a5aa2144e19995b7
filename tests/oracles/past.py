"""An agent's state at a time, naively: all orders of each second are tried, and the best is taken.

Records are plain tuples: transitions and captured changes (time, number, state before, state after), snapshots (time,
number, state); the agent's row is (time of its last save, state). Numbers are the order of insertion.
"""

from dataclasses import dataclass, field
from itertools import pairwise, permutations

Change = tuple[int, int, str, str]
SAME_SECONDS = 2


@dataclass
class Records:
    """All that is recorded of an agent."""

    row: tuple[int, str]
    transitions: list[Change] = field(default_factory=list)
    captured: list[Change] = field(default_factory=list)
    snapshots: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """A state, when it was recorded, and until when it is in doubt."""

    text: str
    at: int
    doubt_until: int | None


def state_at(records: Records, seconds: int) -> Answer | None:
    """Return the state at a time, None if nothing is known."""
    changes = [*records.transitions, *unrecorded(records)]
    is_last = all(at <= seconds for at, *_ in changes)
    known = last_known(records, seconds)
    saved_at, saved = records.row
    if is_last and saved_at <= seconds and (known is None or known[1] != saved):
        known = (saved_at, saved)
    if known is None:
        return None
    later = [(at, before) for at, _, before, _ in changes if at > seconds]
    # Of the snapshots of a second the first, of the changes the first of each kind: they may be the next record.
    later = firsts(records.transitions, seconds) + firsts(unrecorded(records), seconds)
    later += firsts([(at, n, text, text) for at, n, text in records.snapshots], seconds)
    later += [records.row] if is_last and saved_at > seconds else []
    next_at = min((at for at, _ in later), default=None)
    is_shown = any(at == next_at and text == known[1] for at, text in later)
    return Answer(known[1], known[0], None if is_shown else next_at)


def firsts(changes: list[Change], seconds: int) -> list[tuple[int, str]]:
    """Return the first of some records after a time, with the state that it starts from."""
    return [(at, before) for at, _, before, _ in sorted(changes) if at > seconds][:1]


def last_known(records: Records, seconds: int) -> tuple[int, str] | None:
    """Return the last state recorded up to a time: of a change, or of a snapshot in a later second."""
    changes = [*records.transitions, *unrecorded(records)]
    change_at = max((at for at, *_ in changes if at <= seconds), default=None)
    snapshots = [one for one in sorted(records.snapshots) if one[0] <= seconds]
    if snapshots and (change_at is None or change_at < snapshots[-1][0]):
        return snapshots[-1][0], snapshots[-1][2]
    return None if change_at is None else (change_at, in_order(records, change_at)[-1][3])


def unrecorded(records: Records) -> list[Change]:
    """Return the captured changes that no transition records: each transition stands for one of the same changes."""
    return [change for change in records.captured if not is_recorded(change, records)]


def is_recorded(change: Change, records: Records) -> bool:
    at, _, *states = change
    twins = [one for one in records.transitions if abs(one[0] - at) <= SAME_SECONDS and [*one[2:]] == states]
    rivals = [one for one in records.captured if abs(one[0] - at) <= SAME_SECONDS and [*one[2:]] == states]
    # Those in the second of a transition are the first that it may stand for, then the older ones.
    order = sorted(rivals, key=lambda one: (not in_second_of_a_twin(one, records), one[1]))
    return order.index(change) < len(twins)


def in_second_of_a_twin(change: Change, records: Records) -> bool:
    return any(one[0] == change[0] and one[2:] == change[2:] for one in records.transitions)


def in_order(records: Records, at: int) -> list[Change]:
    """Return the changes of a second in the order that has the fewest gaps, each kind in its own order."""
    captured = sorted(change for change in unrecorded(records) if change[0] == at)
    recorded = sorted(change for change in records.transitions if change[0] == at)
    starts, ends = around(records, at)
    orders = sorted(set(permutations([0] * len(captured) + [1] * len(recorded))))
    chains = [chain(order, captured, recorded) for order in orders]
    gaps = [sum(left[3] != right[2] for left, right in pairwise(one)) for one in chains]
    outside = [(bool(starts) and one[0][2] not in starts) + (bool(ends) and one[-1][3] not in ends) for one in chains]
    return min(zip(gaps, outside, orders, chains, strict=True))[3]


def chain(order: tuple[int, ...], captured: list[Change], recorded: list[Change]) -> list[Change]:
    ahead = iter(captured), iter(recorded)
    return [next(ahead[side]) for side in order]


def around(records: Records, second: int) -> tuple[set[str], set[str]]:
    """Return the states that may have been before and after a second: those of the nearest second with a record."""
    before, after = set[str](), {records.row[1]}
    kinds = [records.transitions, unrecorded(records)]
    latest = [kind[-1] for one in kinds if (kind := [change for change in sorted(one) if change[0] < second])]
    nexts = [kind[0] for one in kinds if (kind := [change for change in sorted(one) if change[0] > second])]
    old = [one for one in sorted(records.snapshots) if one[0] < second][-1:]
    new = [one for one in sorted(records.snapshots) if one[0] > second][:1]
    last, first = max((one[0] for one in latest), default=-1), min((one[0] for one in nexts), default=10**18)
    if latest and (not old or last >= old[0][0]):
        before = {one[3] for one in latest if one[0] == last}
    elif old:
        before = {old[0][2]}
    if nexts and (not new or first <= new[0][0]):
        after = {one[2] for one in nexts if one[0] == first}
    elif new:
        after = {new[0][2]}
    return before, after
