import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff import diff as diff_module
from statestore.jsondiff import limits
from statestore.jsondiff.budget import Budget
from statestore.jsondiff.diff import (
    MISSING,
    Diff,
    JsonComparison,
    Kind,
    TextComparison,
    TooDeep,
    Truncated,
    apply,
    compare,
    diff,
    invert,
)
from statestore.jsondiff.parsing import Json, Number, dump, equal
from statestore.jsondiff.pointer import resolve
from tests.examples import thoroughly

keys = st.sampled_from(["id", "name", "a", "b", "/", "~", "", "0"])
scalars = st.sampled_from([None, True, False, 0, 1, 2, 0.0, -0.0, 1.0, "", "1", "one two", Number("-0"), Number("1E5")])
# Few values, so that equal ones meet; a list of objects with ids, so that the pairing is exercised.
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.dictionaries(keys, inner, max_size=5)
        | st.lists(st.fixed_dictionaries({"id": st.integers(0, 4), "v": inner}), max_size=5)
    ),
    max_leaves=20,
)


def _reordered(value: Json, shuffle: Callable[[list[Any]], None]) -> Json:
    if isinstance(value, list):
        return [_reordered(item, shuffle) for item in value]
    if isinstance(value, dict):
        members = [(key, _reordered(inner, shuffle)) for key, inner in value.items()]
        shuffle(members)
        return dict(members)
    return value


def _edited(value: Json, chance: random.Random) -> Json:
    """Return the value with a few items and members dropped, doubled, moved and changed."""
    if isinstance(value, list):
        items = [_edited(item, chance) for item in value for _ in range(chance.choice([0, 1, 1, 1, 1, 2]))]
        if items and chance.random() < 0.3:
            items.insert(chance.randrange(len(items)), items.pop(chance.randrange(len(items))))
        return items
    if isinstance(value, dict):
        return {key: _edited(inner, chance) for key, inner in value.items() if chance.random() < 0.9}
    return value if chance.random() < 0.8 else chance.choice([None, 1, "1", True])


randoms = st.randoms(use_true_random=False)
pairs = st.tuples(values, values) | st.builds(lambda value, chance: (value, _edited(value, chance)), values, randoms)


def _told(changes: Any) -> list[tuple[str, str, str]]:
    return [(change.kind.value, change.before_path, change.after_path) for change in changes]


def _items(count: int) -> list[Json]:
    return [{"id": f"m{n}", "role": "user", "text": f"message {n}", "tokens": n} for n in range(count)]


@thoroughly
@given(pairs)
def test_all_changes_applied_lead_from_the_one_state_to_the_other(pair: tuple[Json, Json]) -> None:
    before, after = pair
    spelled = dump(before)
    assert equal(apply(before, diff(before, after)), after)
    assert dump(before) == spelled


@thoroughly
@given(pairs)
def test_inverted_changes_lead_back(pair: tuple[Json, Json]) -> None:
    before, after = pair
    changes = diff(before, after)
    assert equal(apply(after, invert(changes)), before)
    assert equal(apply(before, invert(invert(changes))), after)


@thoroughly
@given(pairs, randoms)
def test_any_choice_of_changes_applies_in_any_order(pair: tuple[Json, Json], chance: random.Random) -> None:
    before, after = pair
    changes = list(diff(before, after))
    chosen = [change for change in changes if chance.random() < 0.5]
    result = apply(before, chosen)
    chance.shuffle(chosen)
    assert equal(apply(before, chosen), result)
    back = [change for change in invert(changes) if chance.random() < 0.5]
    apply(after, back)


@thoroughly
@given(pairs)
def test_each_change_names_what_lies_at_its_paths(pair: tuple[Json, Json]) -> None:
    before, after = pair
    for change in diff(before, after):
        if change.before is not MISSING:
            assert equal(resolve(before, change.before_path), change.before)
        if change.after is not MISSING:
            assert equal(resolve(after, change.after_path), change.after)
        assert (change.kind is Kind.MOVED) == (change.before_slot is not None) == (change.after_slot is not None)
        if change.before is not MISSING and change.after is not MISSING:
            assert equal(change.before, change.after) is (change.kind is Kind.MOVED)


@thoroughly
@given(values, randoms)
def test_the_order_of_keys_is_no_change(value: Json, chance: random.Random) -> None:
    reordered = _reordered(value, chance.shuffle)
    assert not diff(value, reordered).changes
    assert not diff_module._walk(value, reordered, Budget(0)).changes


@given(values)
def test_a_state_does_not_differ_from_itself(value: Json) -> None:
    assert not diff(value, value).changes
    assert not diff(value, _reordered(value, lambda members: None)).changes


@thoroughly
@given(pairs)
def test_changes_survive_the_end_of_the_effort(pair: tuple[Json, Json]) -> None:
    before, after = pair
    changes = diff_module._walk(before, after, Budget(60))
    assert equal(apply(before, changes), after)
    assert equal(apply(after, invert(changes)), before)


def test_values_of_unlike_type_are_replaced_also_inside_of_containers() -> None:
    unlike: list[Json] = [1, 1.0, True, "1", None, 0, 0.0, -0.0, False, Number("1E0")]
    for left in unlike:
        for right in unlike:
            expected = 0 if left is right else 1
            assert len(diff(left, right)) == expected, (left, right)
            assert len(diff([left], [right])) == expected, (left, right)
            assert len(diff({"k": [{"v": left}]}, {"k": [{"v": right}]})) == expected, (left, right)


def test_null_is_a_value_and_absence_is_not() -> None:
    (change,) = diff({}, {"a": None})
    assert change.kind is Kind.ADDED
    assert change.before is MISSING
    assert change.after is None
    assert diff({"a": None}, {"a": 1}).changes[0].kind is Kind.REPLACED


def test_containers_of_one_type_are_descended_into_and_others_replaced() -> None:
    assert _told(diff({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})) == [("replaced", "/a/c", "/a/c")]
    assert _told(diff({"a": {}}, {"a": []})) == [("replaced", "/a", "/a")]
    assert _told(diff([1], {"0": 1})) == [("replaced", "", "")]


def test_changes_read_in_the_order_of_the_state_after_with_removals_at_their_place() -> None:
    before: Json = {"gone first": 1, "kept": {"x": 1}, "gone": 2, "list": ["a", "b", "c", "d"]}
    after: Json = {"list": ["a", "new", "c", "d", "e"], "kept": {"x": 2}, "added": 3}
    assert _told(diff(before, after)) == [
        ("removed", "/gone first", "/gone first"),
        ("replaced", "/list/1", "/list/1"),
        ("added", "/list/4", "/list/4"),
        ("replaced", "/kept/x", "/kept/x"),
        ("removed", "/gone", "/gone"),
        ("added", "/added", "/added"),
    ]


def test_a_key_is_escaped_in_the_path() -> None:
    assert diff({}, {"a/b~c": 1}).changes[0].path == "/a~1b~0c"


def test_the_path_of_a_change_is_where_it_is_found() -> None:
    added, removed = diff([1, 2, 3, 4], [9, 1, 2, 4])
    assert (added.path, removed.path) == ("/0", "/2")
    assert (added.before_path, removed.after_path) == ("/0", "/3")


def test_an_insertion_at_the_head_of_a_long_list_is_one_change() -> None:
    items = _items(2_600)
    after: Json = {"messages": [{"id": "new"}, *items]}
    assert _told(diff({"messages": items}, after)) == [("added", "/messages/0", "/messages/0")]


def test_a_handful_of_changes_in_a_long_list_is_that_many() -> None:
    before, after = _items(2_600), _items(2_600)
    for place, field, value in (
        (100, "role", "tool"),
        (700, "tokens", True),
        (1_500, "text", "other"),
        (2_000, "x", 1),
    ):
        item = after[place]
        assert isinstance(item, dict)
        item[field] = value
    del after[1_200]
    after.insert(300, {"id": "second"})
    after.insert(0, {"id": "first"})
    assert _told(diff(before, after)) == [
        ("added", "/0", "/0"),
        ("replaced", "/100/role", "/101/role"),
        ("added", "/300", "/301"),
        ("replaced", "/700/tokens", "/702/tokens"),
        ("removed", "/1200", "/1202"),
        ("replaced", "/1500/text", "/1501/text"),
        ("added", "/2000/x", "/2001/x"),
    ]


def test_an_item_that_is_the_same_elsewhere_has_moved() -> None:
    (change,) = diff(["a", "b", "c", "d", "e"], ["a", "c", "d", "b", "e"])
    assert (change.kind, change.before_path, change.after_path) == (Kind.MOVED, "/1", "/3")
    assert (change.before_slot, change.after_slot) == ("/4", "/1")
    assert apply(["a", "b", "c", "d", "e"], [change]) == ["a", "c", "d", "b", "e"]


def test_a_moved_object_with_its_keys_reordered_has_only_moved() -> None:
    rest: list[Json] = [{"n": n} for n in range(5)]
    moved: Json = {"x": 1, "y": [2]}
    assert _told(diff([moved, *rest], [*rest, {"y": [2], "x": 1}])) == [("moved", "/0", "/5")]


def test_reordered_keys_do_not_make_twins_move() -> None:
    left: Json = {"x": 1, "y": 2}
    right: Json = {"y": 2, "x": 1}
    assert not diff([left, "between", right], [right, "between", left]).changes


def test_an_edited_item_is_found_again_by_its_identity() -> None:
    before: Json = [{"id": 1, "text": "first"}, {"id": 2, "text": "second"}]
    after: Json = [{"id": 3, "text": "second"}, {"id": 2, "text": "altogether otherwise"}, {"id": 4, "text": "first"}]
    assert _told(diff(before, after)) == [
        ("removed", "/0", "/0"),
        ("added", "/1", "/0"),
        ("replaced", "/1/text", "/1/text"),
        ("added", "/2", "/2"),
    ]


def test_items_of_unlike_id_are_never_one_item() -> None:
    assert _told(diff([{"id": 1, "v": 5}], [{"id": True, "v": 5}, {"id": "1", "v": 5}])) == [
        ("removed", "/0", "/0"),
        ("added", "/1", "/0"),
        ("added", "/1", "/1"),
    ]


def test_an_edited_item_is_told_from_an_inserted_one_by_likeness() -> None:
    before: Json = [{"role": "user", "text": "please write the report about the third quarter"}]
    after: Json = [{"role": "user", "text": "thanks!"}, {"role": "user", "text": "please write the report on Q3"}]
    assert _told(diff(before, after)) == [("added", "/0", "/0"), ("replaced", "/0/text", "/1/text")]


def test_too_many_changes_are_cut_and_the_rest_is_not_applied_silently() -> None:
    before: Json = [{"n": n, "v": 1} for n in range(limits.MAX_CHANGES + 1)]
    changes = diff(before, [{"n": n, "v": 2} for n in range(limits.MAX_CHANGES + 1)])
    assert changes.truncated
    assert len(changes) == limits.MAX_CHANGES
    with pytest.raises(Truncated, match="more than 2,000 changes"):
        apply(before, changes)


def test_as_many_changes_as_may_be_are_all_listed() -> None:
    before: Json = [{"n": n, "v": 1} for n in range(limits.MAX_CHANGES)]
    after: Json = [{"n": n, "v": 2} for n in range(limits.MAX_CHANGES)]
    changes = diff(before, after)
    assert not changes.truncated
    assert equal(apply(before, changes), after)


def _shuffled(count: int) -> tuple[Json, Json]:
    numbers = list(range(count))
    return list(numbers), random.Random(1).sample(numbers, count)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        _shuffled(10_000),
        ([f"a{n}" for n in range(5_000)], [f"b{n}" for n in range(5_000)]),
        ({f"a{n}": [n] for n in range(5_000)}, {f"b{n}": [n] for n in range(5_000)}),
        ([n % 2 for n in range(200_000)], [n % 3 % 2 for n in range(200_000)]),
    ],
    ids=["shuffled numbers", "texts all different", "keys all different", "bits without end"],
)
def test_containers_with_hardly_anything_in_common_are_replaced_whole(before: Json, after: Json) -> None:
    changes = diff({"x": before}, {"x": after})
    assert _told(changes) == [("replaced", "/x", "/x")]
    assert changes.coarse
    assert equal(apply({"x": before}, changes), {"x": after})


def test_long_gaps_are_paired_by_position() -> None:
    count = 2 * limits.MAX_CELLS // 100
    before, after = _items(count), _items(count)
    for old, new in zip(before, after, strict=True):
        assert isinstance(old, dict)
        assert isinstance(new, dict)
        del old["id"], new["id"]
        new["text"] = "edited"
    changes = diff(before, after)
    assert {change.kind for change in changes} == {Kind.REPLACED}
    assert len(changes) == count


def _nested(levels: int, innermost: Json) -> Json:
    value = innermost
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def test_changes_down_to_the_bound_are_told_and_deeper_ones_refused() -> None:
    changes = diff(_nested(limits.MAX_DEPTH, 1), _nested(limits.MAX_DEPTH, 2))
    assert len(changes) == 1
    assert equal(apply(_nested(limits.MAX_DEPTH, 1), changes), _nested(limits.MAX_DEPTH, 2))
    for levels in (limits.MAX_DEPTH + 1, 100_000):
        with pytest.raises(TooDeep, match="deeper than 100 levels"):
            diff(_nested(levels, 1), _nested(levels, 2))
    with pytest.raises(TooDeep):
        diff({"a": 1}, {"a": _nested(limits.MAX_DEPTH, 1)})


def test_a_deep_container_is_replaced_whole_where_it_is_still_in_bounds() -> None:
    before, after = _shuffled(3_000)
    changes = diff(_nested(limits.MAX_DEPTH - 1, before), _nested(limits.MAX_DEPTH - 1, after))
    assert changes.coarse
    assert len(changes) == 1


def test_two_texts_of_json_are_compared_as_json() -> None:
    result = compare('{"a": 1}', '{"a": 1.0}')
    assert isinstance(result, JsonComparison)
    assert _told(result.diff) == [("replaced", "/a", "/a")]
    assert (result.bounded, result.same_text) == (False, False)


def test_text_that_differs_only_in_spacing_and_order_has_no_changes_and_is_not_the_same_text() -> None:
    result = compare('{"a":1,"b":2}', '{ "b": 2, "a": 1 }')
    assert isinstance(result, JsonComparison)
    assert (len(result.diff), result.same_text) == (0, False)
    assert compare("{}", "{}").same_text


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("{}", "", "After: It is empty."),
        ("plain", "{}", "Before: It is not JSON: expecting value at line 1, column 1."),
        ("", "NaN", "Before: It is empty. After: It contains NaN, which is not a JSON number."),
        ("", "", "It is empty."),
    ],
)
def test_text_that_is_not_json_is_compared_by_line_and_says_why(before: str, after: str, reason: str) -> None:
    result = compare(before, after)
    assert isinstance(result, TextComparison)
    assert result.reason == reason
    assert result.same_text == (not result.lines.hunks)


@given(st.text(), st.text())
def test_any_two_texts_compare(before: str, after: str) -> None:
    assert compare(before, after).same_text == (before == after)


def test_a_comparison_says_that_it_is_bounded() -> None:
    before, after = _shuffled(1_000)
    assert compare(dump(before), dump(after)).bounded
    assert not compare(dump(before), dump(before)).bounded


def test_a_diff_counts_and_lists_its_changes() -> None:
    changes = diff([], [1])
    assert isinstance(changes, Diff)
    assert list(changes) == list(changes.changes)
