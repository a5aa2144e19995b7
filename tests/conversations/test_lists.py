"""Message lists are found where they are in a state, without looking through all of a large one."""

from typing import Any

from statestore.conversations import limits, message_lists

ONE = {"role": "user", "content": "x"}


def paths(state: Any) -> list[str]:
    return [found.path for found in message_lists(state)]


def test_lists_are_found_at_any_place_the_longest_first():
    state = {"a/b": [ONE], "graph": {"channels": [{"messages": [ONE, ONE]}]}, "messages": [ONE, ONE, ONE]}
    assert paths(state) == ["/messages", "/graph/channels/0/messages", "/a~1b"]
    assert paths([ONE]) == [""]


def test_a_list_of_anything_else_is_none():
    assert paths({"steps": [{"id": 1, "text": "x"}], "empty": [], "mixed": [ONE, 5], "text": "x"}) == []


def test_one_odd_value_among_many_messages_does_not_hide_them():
    state = {"messages": [ONE, ONE, ONE, None, "odd", ONE, ONE, ONE]}
    assert paths(state) == ["/messages"]


def test_a_large_state_is_looked_through_to_a_limit():
    far: Any = [ONE]
    for _ in range(limits.SEARCHED_DEPTH + 1):
        far = {"deeper": far}
    assert paths({"far": far, "near": [ONE]}) == ["/near"]
    wide = {f"k{number}": [number] for number in range(limits.SEARCHED_VALUES + 10)}
    assert paths(wide | {"last": [ONE]}) == []
    assert paths({"first": [ONE]} | wide) == ["/first"]
