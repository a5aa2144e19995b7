"""The three-way merge is what the naive one says, or a conflict where that has none to offer."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff.merge3 import merge
from tests.examples import thoroughly
from tests.oracles import merging

leaves: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1, 1.0, "a", ""])
keys = st.sampled_from(["a", "b", "c", "/", "~"])
objects = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=6), max_size=4
)
# (what, from where, to where): an item put in, taken out or moved.
deeds = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "move"]), st.integers(0, 6), st.integers(0, 6)), max_size=4
)
wraps = st.sampled_from([lambda items: {"L": items}, lambda items: [{"id": 1, "L": items}], lambda items: items])


@thoroughly
@given(objects, objects, objects)
def test_a_merge_of_objects_is_the_naive_one(base: Any, ours: Any, theirs: Any):
    found = merge(base, ours, theirs)
    expected, is_conflict = merging.merged(base, ours, theirs)
    assert merging.same(found.merged, expected)
    assert bool(found.conflicts) == is_conflict


@thoroughly
@given(st.integers(0, 6), deeds, deeds, st.booleans(), wraps)
def test_a_merge_of_lists_has_each_item_once_and_in_an_order_that_a_side_made(
    size: int, mine: list[Any], others: list[Any], is_on_top: bool, wrapped: Any
):
    base: list[Any] = list(range(size))
    ours = done(base, mine, "ours")
    theirs = done(ours if is_on_top else base, others, "theirs")
    for left, right in ((ours, theirs), (theirs, ours)):
        found = merge(wrapped(base), wrapped(left), wrapped(right))
        if not found.conflicts:
            assert not merging.wrong_with(base, left, right, unwrapped(found.merged))
        # With a side chosen everywhere, nothing stands that neither had.
        chosen = unwrapped(found.resolved({conflict.path: "theirs" for conflict in found.conflicts}))
        assert {*chosen} <= {*left, *right}


@thoroughly
@given(st.integers(0, 6), deeds, st.lists(st.integers(0, 9), max_size=3))
def test_a_list_that_has_all_that_the_other_side_did_is_the_merge(size: int, mine: list[Any], more: list[int]):
    base: list[Any] = list(range(size))
    ours = done(base, mine, "ours")
    theirs = done(ours, [("add", 0, place) for place in more], "theirs")
    for left, right in ((ours, theirs), (theirs, ours)):
        found = merge({"L": base}, {"L": left}, {"L": right})
        assert (found.merged, found.conflicts) == ({"L": theirs}, ())


def done(items: list[Any], what: list[tuple[str, int, int]], name: str) -> list[Any]:
    """Return a list after some deeds; each new item is unlike any other."""
    items = list(items)
    for number, (deed, start, end) in enumerate(what):
        if deed == "add":
            items.insert(min(end, len(items)), f"{name} {number}")
        elif items:
            item = items.pop(start % len(items))
            if deed == "move":
                items.insert(min(end, len(items)), item)
    return items


def unwrapped(value: Any) -> list[Any]:
    """Return the list that a wrap was put around."""
    inner = value["L"] if isinstance(value, dict) else value
    return inner[0]["L"] if inner and isinstance(inner[0], dict) else inner  # type: ignore[no-any-return]
