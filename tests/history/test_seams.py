"""Seams: where steps removed items from the lists of an agent's present state."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history
from tests.builders import NOW, make_agent, make_transition
from tests.examples import thoroughly

pytestmark = pytest.mark.django_db
AGENTS = itertools.count()
WORDS = [
    "lexer", "parser", "budget", "deploy", "review", "cache", "schema", "retry", "goal", "patch", "merge", "token",
    "tree", "region", "error",
]  # fmt: skip


def said(number: int) -> dict[str, object]:
    """Return a message unlike all others."""
    word = WORDS[number % len(WORDS)]
    return {"role": "user", "content": f"{word * (1 + number // len(WORDS))} {number}", "n": number}


def seams_after(*lists: list[int]) -> list[tuple[str, int, int]]:
    """Return the seams of an agent whose messages were each of some lists in turn."""
    states = [{"messages": [said(number) for number in numbers], "step": 0} for numbers in lists]
    agent = make_agent(f"a{next(AGENTS)}", state=states[-1])
    for at, (before, after) in enumerate(itertools.pairwise(states)):
        make_transition(agent, before, after, reason=f"step {at}", timestamp=NOW + at)
    return [(str(seam.cause.reason), seam.at, seam.count) for seam in history.blame(agent).seams]


def test_removed_items_leave_a_seam_where_they_were():
    assert seams_after([0, 1, 2, 3, 4], [0, 4], [0, 4, 5]) == [("step 0", 1, 3)]


def test_a_summary_stands_behind_the_seam_of_what_it_replaced():
    assert seams_after([0, 1, 2, 3, 4], [0, 9, 4], [0, 9, 4, 5]) in (
        [("step 0", 1, 3)],
        [("step 0", 2, 2)],  # The summary as an edit of the first of them.
    )


def test_what_was_removed_from_either_end_is_told():
    assert seams_after([0, 1, 2, 3], [1, 2]) == [("step 0", 0, 1), ("step 0", 2, 1)]


def test_several_steps_are_told_newest_first_as_far_as_an_item_is_followed():
    assert seams_after([0, 1, 2], [0, 2], [0, 2, 3, 4], [0, 2, 4]) == [("step 2", 2, 1), ("step 0", 1, 1)]
    assert seams_after([0, 1], [0], [], [7, 8]) == [], "no item is as old"


def test_lists_that_only_grow_have_none():
    assert seams_after([], [0], [0, 1], [0, 1, 2]) == []


def test_each_list_has_its_own():
    before = {"messages": [said(1), said(2)], "plan": {"steps": ["lex", "parse", "link"]}}
    after = {"messages": [said(1), said(2)], "plan": {"steps": ["lex", "link"]}}
    agent = make_agent("own", state=after)
    make_transition(agent, before, after)
    assert [(seam.path, seam.at, seam.count) for seam in history.blame(agent).seams] == [("/plan/steps", 1, 1)]


@thoroughly
@given(st.lists(st.tuples(st.sets(st.integers(0, 9)), st.integers(0, 2)), min_size=1, max_size=6))
def test_removals_and_additions_at_the_end_are_all_told(steps: list[tuple[set[int], int]]):
    numbers, lists = 5, [list(range(5))]
    for gone, new in steps:
        kept = [number for place, number in enumerate(lists[-1]) if place not in gone]
        # At once, an added message might be taken for an edit of a removed one.
        lists.append(kept if len(kept) < len(lists[-1]) else [*kept, *range(numbers, numbers + new)])
        numbers += new
    present = lists[-1]
    expected = []
    for at, (before, after) in reversed(list(enumerate(itertools.pairwise(lists)))):
        followed = [number for number in after if number in present]
        if not followed:
            break
        counts: dict[int, int] = {}
        for place, number in enumerate(before):
            if number not in after:
                rest = [one for one in before[place:] if one in followed]
                where = present.index(rest[0]) if rest else present.index(followed[-1]) + 1
                counts[where] = counts.get(where, 0) + 1
        expected += [(f"step {at}", where, count) for where, count in sorted(counts.items())]
    assert sorted(seams_after(*lists)) == sorted(expected)
