"""A text that is parsed after one that it resembles has the value, or the error, that it has by itself."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statestore.jsondiff import parsing, reparse
from statestore.jsondiff.parsing import Json, NotJson
from statestore.jsondiff.reparse import NeighbourParser
from tests.examples import thoroughly

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner,
                      max_size=3), max_leaves=12)  # fmt: skip
states = st.dictionaries(st.sampled_from(["a", "b", "c", 'q"', "é"]), values, max_size=5)
spacings = st.sampled_from([None, (",", ":"), (" , ", " :\n")])


def outcome(parse: Any, text: str) -> tuple[str, object]:
    """Return what parsing a text gives: the value as bytes that tell all values apart, or the error's words."""
    try:
        value: Json = parse(text)
    except NotJson as error:
        return "error", (error.reason, error.position)
    return "value", parsing.fingerprint(value)


def check(texts: list[str]) -> None:
    """Compare each text's outcome with its own, also where texts of few members share their beginning and end."""
    for few in (0, reparse._FEW):
        parser = NeighbourParser()
        with patch.object(reparse, "_FEW", few):
            for text in texts:
                assert outcome(parser.parse, text) == outcome(parsing.parse, text), text


@thoroughly
@given(st.lists(st.tuples(states, spacings), min_size=2, max_size=6))
def test_each_of_a_series_of_states_has_its_own_value(series: list[tuple[dict[str, Any], tuple[str, str] | None]]):
    check([json.dumps(state, separators=spacing) for state, spacing in series])


edits = st.tuples(st.integers(0, 200), st.integers(0, 3), st.text('{}[]",:0159-.eE \\tntrue', max_size=3))


@thoroughly
@given(states, st.lists(edits, max_size=6))
@example({"a": 1}, [(6, 0, "2")])
@example({"a": [1, 2], "b": 3}, [(7, 0, "5")])
@example({"a": [1]}, [(7, 0, "0, 1")])
@example({"a": {}}, [(5, 0, '"a": 1, ')])
def test_a_text_that_was_edited_anywhere_has_its_own_value_or_error(
    state: dict[str, Any], done: list[tuple[int, int, str]]
):
    text = json.dumps(state)
    texts = [text]
    for place, removed, added in done:
        text = text[:place] + added + text[place + removed :]
        texts.append(text)
    check(texts)


@thoroughly
@given(st.lists(values, max_size=8), st.lists(values, max_size=8), st.integers(0, 8), spacings)
def test_a_list_that_grew_shrank_or_changed_in_the_middle_has_its_own_value(
    items: list[Any], other: list[Any], kept: int, spacing: tuple[str, str] | None
):
    lists = [items, [*items, *other], items[:kept], [*items[:kept], *other], []]
    check([json.dumps({"n": 1, "messages": each, "m": len(each)}, separators=spacing) for each in lists])


@pytest.mark.parametrize("second", [
    '{"a": 12, "b": [1]}', '{"a": 1.0, "b": [1]}', '{"a": 1, "b": [12]}', '{"a": 1, "a": 1}', '{"a": 1, "b": [1]} x',
    '{"a": -0, "b": [1]}', '{"a": 1, "b": [1]', '{"a": 1 "b": [1]}', '{"a": 1, "b": [1],}', '{"a": 1, "b": [1,]}',
    '{"a": 1, "b": [,1]}', '{"a": NaN, "b": [1]}', '{"a": 1, "b": ' + "[" * 200 + "]" * 200 + "}", "[1]", "{}", "", "{",
    '{"a": ' + "9" * 5000 + "}", '\\ufeff{"a": 1, "b": [1]}', '{"a": 1, "b": {"c": 1, "c": 2}}', '{"a":1,"b":[1]}\\n',
])  # fmt: skip
def test_what_resembles_a_state_in_all_but_one_place_is_read_as_it_stands(second: str):
    check(['{"a": 1, "b": [1]}', second, '{"a": 1, "b": [1]}'])


def test_members_that_did_not_change_are_not_parsed_again(monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []

    def scan(text: str, start: int) -> tuple[Json, int]:
        value, end = scan_once(text, start)
        parsed.append(text[start:end])
        return value, end

    scan_once = parsing.usual_scan
    parser = NeighbourParser()
    first = {"plan": {"step": 1}, "messages": [{"n": n} for n in range(50)], "tools": ["a", "b"]}
    before: Any = parser.parse(json.dumps(first))
    parser.parse(json.dumps(first | {"plan": {"step": 2}}))
    monkeypatch.setattr(parsing, "usual_scan", scan)
    monkeypatch.setattr(reparse, "_item_ends", lambda text, real=reparse._item_ends: _unseen(parsed, real, text))
    after: Any = parser.parse(json.dumps(first | {"plan": {"step": 3}, "messages": [*first["messages"], {"n": 50}]}))
    assert parsed == ['{"step": 3}', '{"n": 50}']
    assert after["tools"] is before["tools"]
    assert (len(after["messages"]), after["messages"][0] is before["messages"][0]) == (51, True)


def test_members_of_a_common_beginning_and_end_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch):
    looked_at: list[str] = []

    def key(text: str, place: int) -> tuple[str, int]:
        found, start = real(text, place)
        looked_at.append(found)
        return found, start

    real, parser = reparse._key, NeighbourParser()
    state = {f"group {n}": [n] for n in range(40)}
    before: Any = parser.parse(json.dumps(state))
    monkeypatch.setattr(reparse, "_key", key)
    after: Any = parser.parse(json.dumps(state | {"group 7": ["other"]}))
    assert looked_at == ["group 7"]
    assert after["group 39"] is before["group 39"]


def _unseen(parsed: list[str], real: Any, text: str) -> Any:
    """Look for the ends of a list's items without noting it: that is done once for each list that changes."""
    noted = len(parsed)
    ends = real(text)
    del parsed[noted:]
    return ends
