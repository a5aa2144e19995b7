"""JSON Pointers: any key has a path of its own that is valid text; a list has the places of RFC 6901 and no others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff import pointer, predicate, source_edit
from statestore.jsondiff.diff import diff
from statestore.jsondiff.parsing import parse
from statestore.jsondiff.patch import Change, DoesNotFit, Kind, apply
from tests.examples import thoroughly

# Lone surrogates too: JSON can spell them, and bytes that are not UTF-8 are read as such.
keys = st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("~/0u\0\ud800\udcff"), max_size=6)
NO_PLACES = ["00", "01", "٠", "１", "-1", "+0", "1_0", " 0", "0 ", "-", "", "²", "1e0", "9" * 30]


@thoroughly
@given(st.lists(keys, max_size=4))
def test_a_path_is_valid_text_that_leads_back_to_its_keys(parts: list[str]):
    path = pointer.join(parts)
    assert path.encode().decode() == path
    assert "\0" not in path
    assert pointer.split(path) == tuple(parts)


@thoroughly
@given(st.dictionaries(keys, st.integers(), max_size=6))
def test_each_leaf_has_a_path_of_its_own(state: dict[str, Any]):
    paths = list(pointer.leaf_paths(state))
    assert len(set(paths)) == max(len(state), 1)
    assert [pointer.resolve(state, path) for path in paths] == (list(state.values()) or [{}])


@pytest.mark.parametrize("path", ["/~2", "/~", "/~u0041", "/~uD800", "/~ue000", "/~u00", "a"])
def test_an_escape_that_stands_for_nothing_is_refused(path: str):
    with pytest.raises(ValueError, match="JSON Pointer"):
        pointer.split(path)


@pytest.mark.parametrize("part", NO_PLACES)
def test_what_is_no_index_names_no_item_anywhere(part: str):
    state: Any = {"L": ["a", "b"]}
    path = f"/L/{part}"
    with pytest.raises(KeyError):
        pointer.resolve(state, path)
    with pytest.raises(DoesNotFit):
        apply(state, [Change(Kind.REPLACED, path, path, "a", "x")])
    with pytest.raises(KeyError):
        source_edit.replace_value('{"L": ["a", "b"]}', path, "1")
    with pytest.raises(KeyError):
        source_edit.spans('{"L": ["a", "b"]}', [path])
    assert predicate.Condition(path, "missing").holds(state)
    assert pointer.resolve({"L": {part: 1}}, path) == 1


def test_keys_that_are_no_text_are_told_apart_in_a_comparison_and_edited_by_their_paths():
    before, after = '{"\\ud800": 1, "\\ud801": 1}', '{"\\ud800": 1, "\\ud801": 2}'
    (change,) = diff(parse(before), parse(after))
    assert change.path == "/~ud801"
    assert source_edit.rewrite(before, [change], after) == after
    assert source_edit.replace_value(before, "/~ud801", "2") == after
