"""Three-way merge: its laws, and what people see of a conflict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff.diff import diff, equal
from statestore.jsondiff.merge3 import merge
from statestore.jsondiff.parsing import Json
from statestore.jsondiff.patch import MISSING, Truncated
from statestore.jsondiff.pointer import resolve
from tests.examples import thoroughly
from tests.jsondiff.test_diff import values

leaves: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1, 1.0, "a", "", [], ["x"]])
keys = st.sampled_from(["a", "b", "c", "/", ""])
documents = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=4), max_leaves=8)
objects = st.dictionaries(keys, documents, max_size=4)


@thoroughly
@given(values, values)
def test_merging_equal_sides_gives_either(base: Json, side: Json):
    found = merge(base, side, side)
    assert not found.conflicts
    assert equal(found.merged, side)


@thoroughly
@given(values, values)
def test_merging_with_a_side_that_did_nothing_gives_the_other(base: Json, side: Json):
    for found in (merge(base, side, base), merge(base, base, side)):
        assert not found.conflicts
        assert equal(found.merged, side)


@thoroughly
@given(values, values, values)
def test_choosing_one_side_everywhere_keeps_all_that_it_changed(base: Json, ours: Json, theirs: Json):
    found = merge(base, ours, theirs)
    turned = merge(base, theirs, ours)
    assert {conflict.path for conflict in found.conflicts} == {conflict.path for conflict in turned.conflicts}
    mine = found.resolved({conflict.path: "theirs" for conflict in found.conflicts})
    assert equal(mine, turned.merged)
    assert equal(found.merged, found.resolved({conflict.path: "ours" for conflict in found.conflicts}))


@thoroughly
@given(objects, objects, objects)
def test_a_merge_of_objects_is_what_a_reference_says(base: Json, ours: Json, theirs: Json):
    found = merge(base, ours, theirs)
    expected, clashes = reference(base, ours, theirs, "")
    assert equal(found.merged, expected)
    assert {conflict.path for conflict in found.conflicts} == clashes


def reference(base: Any, ours: Any, theirs: Any, path: str) -> tuple[Any, set[str]]:
    """Return the merge of two values and the paths that clash, member by member; without looking into lists."""
    if _one(ours, theirs) or _one(theirs, base):
        return ours, set()
    if _one(ours, base):
        return theirs, set()
    if not all(isinstance(value, dict) for value in (base, ours, theirs)):
        return ours, {path}
    merged, clashes = {}, set[str]()
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        part = key.replace("~", "~0").replace("/", "~1")
        was, mine, other = (side.get(key, MISSING) for side in (base, ours, theirs))
        value, below = reference(was, mine, other, f"{path}/{part}")
        clashes |= below
        if value is not MISSING:
            merged[key] = value
    return merged, clashes


def _one(left: Any, right: Any) -> bool:
    return left is right if MISSING in (left, right) else equal(left, right)


@thoroughly
@given(objects, st.data())
def test_changes_to_different_members_never_conflict(base: dict[str, Any], data: st.DataObject):
    mine = sorted(data.draw(st.sets(keys)))
    others = [key for key in ("a", "b", "c", "/", "") if key not in mine]
    ours, theirs = (_with_other_members(base, own, data) for own in (mine, others))
    found = merge(base, ours, theirs)
    assert not found.conflicts
    expected = {key: value for key, value in ours.items() if key in mine}
    assert equal(found.merged, expected | {key: value for key, value in theirs.items() if key in others})


def _with_other_members(base: dict[str, Any], own: list[str], data: st.DataObject) -> dict[str, Any]:
    """Return an object with some of these members dropped and others put in; the rest stays."""
    kept = {key: value for key, value in base.items() if key not in own or data.draw(st.booleans())}
    return kept | {key: data.draw(documents) for key in own if data.draw(st.booleans())}


@thoroughly
@given(st.lists(st.integers(0, 3), max_size=5), st.data())
def test_items_put_in_and_taken_out_in_different_places_all_count(marks: list[int], data: st.DataObject):
    """Each item is unlike any other; one side works on the head of the list, the other on its tail."""
    head, tail = ([f"{name} {n}" for n in range(len(marks))] for name in ("head", "tail"))
    base = [*head, "middle", *tail]
    ours_head, theirs_tail = ([item for item in part if data.draw(st.booleans())] for part in (head, tail))
    ours_head.insert(0, "ours") if data.draw(st.booleans()) else None
    theirs_tail.append("theirs") if data.draw(st.booleans()) else None
    sides: Any = base, [*ours_head, "middle", *tail], [*head, "middle", *theirs_tail]
    found = merge(*sides)
    assert not found.conflicts
    assert found.merged == [*ours_head, "middle", *theirs_tail]


def test_both_may_make_the_same_change():
    found = merge({"a": 1, "b": [1]}, {"a": 2, "b": [1, 5], "c": 1}, {"a": 2, "b": [1, 5], "d": 1})
    assert (found.merged, found.conflicts) == ({"a": 2, "b": [1, 5], "c": 1, "d": 1}, ())


def test_a_conflict_shows_all_three_and_takes_a_choice():
    plans: Any = [{"plan": {"goal": goal, "step": step}} for goal, step in (("a", 1), ("b", 2), ("c", 1))]
    base, ours, theirs = plans
    found = merge(base, ours, theirs)
    (conflict,) = found.conflicts
    assert (conflict.path, conflict.base, conflict.ours, conflict.theirs) == ("/plan/goal", "a", "b", "c")
    assert found.merged == ours
    assert found.resolved({"/plan/goal": "theirs"}) == {"plan": {"goal": "c", "step": 2}}


def test_removing_what_the_other_side_changed_is_a_conflict():
    found = merge({"a": {"x": 1, "y": 1}}, {}, {"a": {"x": 1, "y": 2}})
    (conflict,) = found.conflicts
    assert (conflict.path, conflict.ours, conflict.theirs) == ("/a", MISSING, {"x": 1, "y": 2})
    assert found.resolved({"/a": "theirs"}) == {"a": {"x": 1, "y": 2}}


def test_items_that_both_put_in_at_one_point_are_a_conflict_of_both_lists():
    found = merge({"m": ["a"]}, {"m": ["a", "b", "c"]}, {"m": ["a", "d"]})
    (conflict,) = found.conflicts
    assert (conflict.path, conflict.base, conflict.ours, conflict.theirs) == ("/m/+1", MISSING, ["b", "c"], ["d"])
    assert found.resolved({"/m/+1": "theirs"}) == {"m": ["a", "d"]}


def test_a_choice_where_nothing_conflicts_is_refused():
    with pytest.raises(KeyError, match="/b"):
        merge({"a": 1}, {"a": 2}, {"a": 3}).resolved({"/b": "theirs"})


def test_more_changes_than_can_be_listed_are_refused():
    base: Any = {f"group {n}": {str(i): 0 for i in range(200)} for n in range(30)}
    side: Any = {group: {i: int(i) % 2 for i in members} for group, members in base.items()}
    with pytest.raises(Truncated, match="Restore the whole state"):
        merge(base, side, {})


def test_a_merge_takes_what_apply_takes_of_disjoint_changes():
    """The same by another way: the changes of both sides, each found alone, applied in one go."""
    base: Any = {"list": [{"id": n, "v": 0} for n in range(6)], "x": {"y": 1}}
    ours: Any = {"list": [{"id": 9}, *({"id": n, "v": int(n == 2)} for n in range(5))], "x": {"y": 1}}
    theirs: Any = {"list": [{"id": n, "v": 0} for n in range(6) if n != 1], "x": {"y": 2, "z": 3}}
    found = merge(base, ours, theirs)
    assert not found.conflicts
    assert resolve(found.merged, "/list") == [{"id": 9}, *({"id": n, "v": int(n == 2)} for n in (0, 2, 3, 4))]
    assert len(diff(base, found.merged)) == len(diff(base, ours)) + len(diff(base, theirs))


def test_a_list_that_has_all_that_the_other_side_did_to_it_is_the_merge():
    base, ours, theirs = ["a", "b", "c"], ["c", "a", "b"], ["x", "c", "a", "b"]
    for sides in ((ours, theirs), (theirs, ours)):
        found = merge(base, *sides)  # type: ignore[arg-type]
        assert (found.merged, found.conflicts) == (theirs, ())


def test_what_each_side_did_to_a_list_that_both_reordered_alike_is_kept():
    found = merge(["a", "b", "c"], ["c", "a", "b", "z"], ["x", "c", "a", "b"])
    assert (found.merged, found.conflicts) == (["x", "c", "a", "b", "z"], ())


def test_two_new_orders_of_a_list_are_a_conflict_of_the_whole_list_and_either_can_be_chosen():
    base: Any = {"L": ["a", "b", "c"], "n": 1}
    found = merge(base, {"L": ["c", "a", "b"], "n": 1}, {"L": ["b", "a", "c"], "n": 2})
    (conflict,) = found.conflicts
    assert (conflict.path, conflict.base) == ("/L", ["a", "b", "c"])
    assert (conflict.ours, conflict.theirs) == (["c", "a", "b"], ["b", "a", "c"])
    assert found.merged == {"L": ["c", "a", "b"], "n": 2}
    assert found.resolved({"/L": "theirs"}) == {"L": ["b", "a", "c"], "n": 2}


def test_an_item_that_both_put_in_at_different_points_is_a_conflict_and_does_not_stand_twice():
    (conflict,) = merge(["a"], ["a", "x"], ["x", "a"]).conflicts
    assert (conflict.path, conflict.ours, conflict.theirs) == ("", ["a", "x"], ["x", "a"])
