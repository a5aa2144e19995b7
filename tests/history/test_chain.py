"""Captured and recorded changes of one second: chained by their texts, each told once, none that never happened."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models
from statestore.history.chain import interleaved
from statestore.history.past import Past, Position
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.examples import thoroughly

steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=4)
states = st.sets(st.integers(0, 2), max_size=2)


@thoroughly
@given(steps, steps, states, states)
def test_of_all_orders_the_one_with_the_fewest_gaps_is_taken(
    first: list[tuple[int, int]], second: list[tuple[int, int]], starts: set[int], ends: set[int]
):
    orders = {
        tuple(order) for order in itertools.permutations([0] * len(first) + [1] * len(second))
    }  # fmt: skip
    best = min((*cost(order, first, second, starts, ends), order) for order in orders)
    assert interleaved(first, second, starts, ends) == ([*best[2]], best[0])


def cost(order: tuple[int, ...], *sides: object) -> tuple[int, int]:
    """Return the gaps of an order, within it and at its ends."""
    first, second, starts, ends = sides
    ahead = iter(first), iter(second)  # type: ignore[call-overload]
    chain = [next(ahead[side]) for side in order]
    inside = sum(left[1] != right[0] for left, right in itertools.pairwise(chain))
    if not chain:
        return 0, int(bool(starts) and bool(ends) and not starts & ends)  # type: ignore[operator]
    outside = (bool(starts) and chain[0][0] not in starts) + (bool(ends) and chain[-1][1] not in ends)  # type: ignore[operator]
    return inside, outside


def captured(before: str, after: str, at: int) -> models.CapturedChange:
    return models.CapturedChange.objects.create(agent_id="a1", at=at, state_before=before, state_after=after)


def told(agent: models.AgentState) -> list[tuple[str, str, bool]]:
    """Return the changes as the history of the whole state tells them, oldest first: from, to, with a cause."""
    changes = history.path_history(agent, "", budget_seconds=None).changes
    return [(str(one.before), str(one.after), one.origin.step_id is not None) for one in reversed(changes)]


@pytest.mark.django_db
def test_a_restore_that_is_overwritten_within_its_second_is_told_as_it_happened():
    agent = make_agent("a1", state='"A"', updated_at=NOW + 9)
    make_snapshot(agent, '"A"', created_at=NOW)
    make_transition(agent, '"A"', '"B"', timestamp=NOW + 9, reason="restored")
    captured('"A"', '"B"', NOW + 9)
    captured('"B"', '"A"', NOW + 9)
    assert told(agent) == [("A", "B", True), ("B", "A", True)]
    assert [record.kind for record in Past("a1").page(9)] == ["captured", "transition", "snapshot"]


@pytest.mark.django_db
def test_a_restore_that_is_overwritten_and_repeated_within_its_second_is_told_as_it_happened():
    agent = make_agent("a1", state='"B"', updated_at=NOW + 9)
    for _ in range(2):
        make_transition(agent, '"A"', '"B"', timestamp=NOW + 9, reason="restored")
        captured('"A"', '"B"', NOW + 9)
    captured('"B"', '"A"', NOW + 9)
    assert told(agent) == [("A", "B", True), ("B", "A", True), ("A", "B", True)]


@pytest.mark.django_db
@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_change_that_was_made_twice_and_recorded_once_is_told_twice(silent: int):
    """The second of the transition tells which of the two it records."""
    agent = make_agent("a1", state='"B"', updated_at=NOW + silent)
    make_transition(agent, '"A"', '"B"', timestamp=NOW + 1)
    for second in sorted({1, silent}) if silent != 1 else (1, 1):
        captured('"A"', '"B"', NOW + second)
        if len(models.CapturedChange.objects.all()) == 1:
            captured('"B"', '"A"', NOW + second)
    assert told(agent) == [("A", "B", True), ("B", "A", True), ("A", "B", True)]


@pytest.mark.django_db
def test_two_changes_that_were_recorded_a_second_late_are_told_once_each():
    agent = make_agent("a1", state='"B"', updated_at=NOW + 1)
    captured('"A"', '"B"', NOW)
    captured('"B"', '"A"', NOW)
    captured('"A"', '"B"', NOW + 1)
    for before, after in (("A", "B"), ("B", "A"), ("A", "B")):
        make_transition(agent, f'"{before}"', f'"{after}"', timestamp=NOW + 1)
    assert [record.kind for record in Past("a1").page(9)] == ["transition"] * 3
    assert told(agent) == [("A", "B", True), ("B", "A", True), ("A", "B", True)]


@pytest.mark.django_db
def test_a_cursor_whose_record_was_deleted_repeats_nothing_that_is_known_to_be_newer():
    agent = make_agent("a1", state="3", updated_at=NOW)
    rows = [make_transition(agent, str(n), str(n + 1), timestamp=NOW) for n in range(3)]
    snapshots = [make_snapshot(agent, "7", created_at=NOW + 5) for _ in range(3)]
    positions: dict[str, Position] = {record.row.pk: record.position for record in Past("a1").page(9)}
    middle, later = positions[rows[1].pk], positions[snapshots[1].pk]
    rows[1].delete()
    assert [record.row.pk for record in Past("a1").page(9, middle)] == [rows[0].pk]
    snapshots[1].delete()
    assert [record.row.pk for record in Past("a1").page(9, later)] == [snapshots[0].pk, rows[2].pk, rows[0].pk]
