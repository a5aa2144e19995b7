from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff.budget import Budget
from statestore.jsondiff.lcs import common_subsequence
from tests.examples import thoroughly


@thoroughly
@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12), st.sampled_from([0, 10**6]))
def test_a_common_subsequence_is_one_and_the_longest_if_it_may_be(
    left: list[int], right: list[int], units: int
) -> None:
    matches = common_subsequence(left, right, Budget(units))
    assert all(left[i] == right[j] for i, j in matches)
    assert all(i < next_i and j < next_j for (i, j), (next_i, next_j) in pairwise(matches))
    assert not units or len(matches) == _longest_length(left, right)


def _longest_length(left: list[int], right: list[int]) -> int:
    row = [0] * (len(right) + 1)
    for item in left:
        ahead = row
        row = [0]
        for j, other in enumerate(right):
            row.append(ahead[j] + 1 if item == other else max(ahead[j + 1], row[j]))
    return row[-1]


def test_after_the_first_refusal_nothing_can_be_afforded() -> None:
    budget = Budget(10)
    assert budget.consume(10)
    assert not budget.consume(1)
    assert not budget.consume(0)
