"""The order of names for people."""

from hypothesis import given
from hypothesis import strategies as st

from statestore.text.natural_order import natural


def test_numbers_in_names_are_sorted_by_value():
    names = ["agent-10", "agent-2", "Agent-3", "agent-02", "agent", "v1.10.2", "v1.9", "10", "9"]
    assert sorted(names, key=natural) == [
        "9", "10", "agent", "agent-02", "agent-2", "Agent-3", "agent-10", "v1.9", "v1.10.2",
    ]  # fmt: skip


def test_a_name_of_many_digits_is_sorted_too():
    assert sorted(["9" * 5_000, "1" + "0" * 5_000], key=natural)[0].startswith("9")


@given(st.lists(st.text()))
def test_any_names_have_one_order(names: list[str]):
    other_way = list(reversed(names))
    assert sorted(names, key=natural) == sorted(other_way, key=natural)


@given(st.lists(st.integers(0, 10**30)))
def test_numbered_names_have_the_order_of_their_numbers(numbers: list[int]):
    names = sorted((f"agent-{number}" for number in numbers), key=natural)
    assert names == [f"agent-{number}" for number in sorted(numbers)]
