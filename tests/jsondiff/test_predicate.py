"""Conditions on a path: what they mean, and what is said of those that mean nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.errors import ValidationError
from statestore.jsondiff import parsing, pointer, predicate

STATE = parsing.parse(
    '{"mode": "stuck", "budget": {"spent": 101.0, "huge": 1e400, "zero": -0}, "plan": null, "tags": ["a", 1, {"k": 2}],'
    ' "my key": true, "a=b": "two words", "n": 12345678901234567890}'
)


@pytest.mark.parametrize(
    "text",
    [
        '/mode = "stuck"', '/mode == "stuck"', '/mode != "idle"', '/mode contains "tuc"', '/mode > "idle"', '/mode<"t"',
        "/budget/spent > 100", "/budget/spent = 101", "/budget/spent >= 101.00", "/budget/spent<=101",
        "/budget/huge > 1e399", "/budget/zero = 0", "/n > 12345678901234567889", "/plan exists", "/plan = null",
        "/nothing missing", "/mode/deeper missing", '/tags contains "a"', "/tags contains 1.0",
        '/tags contains {"k": 2}', "/tags/2/k = 2", '"/my key" = true', '"/a=b" contains "o w"', '"" exists',
        '"" contains "mode"', '  /mode   EXISTS ', '/tags = ["a", 1, {"k": 2}]',
    ],
)  # fmt: skip
def test_it_holds(text: str):
    assert predicate.parse(text).holds(STATE)


@pytest.mark.parametrize(
    "text",
    [
        '/mode = "Stuck"', "/mode > 3", "/budget/spent > 101", "/plan missing", "/nothing exists",
        '/nothing != "x"', "/tags contains true", '/tags contains "A"', '"/my key" = 1', "/tags/9 exists",
        "/tags/01 exists", "/budget contains 1", "/plan > 0", '/budget/spent = "101.0"',
    ],
)  # fmt: skip
def test_it_does_not_hold(text: str):
    assert not predicate.parse(text).holds(STATE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must start with a path"),
        ("mode = 1", "must start with a path"),
        ("/mode", "it is missing"),
        ("/mode is stuck", "“is stuck” is not one"),
        ("/mode =", "needs a value"),
        ("/mode = stuck", 'Put text in double quotes: "stuck"'),
        ("/mode = {", "is not JSON"),
        ("/mode = NaN", "NaN"),
        ("/mode > true", "compares numbers or strings"),
        ("/mode > {}", "compares numbers or strings"),
        ("/a~2 exists", "is not a valid path"),
        ('"mode" exists', "is not a valid path"),
        ('"/\\q" exists', "not a JSON string"),
        ("/mode exists now", "takes no value"),
        ("/mode = 1 2", "Unexpected text"),
        ("/m = " + "[" * 2000 + "]" * 2000, "deeper"),
    ],
)
def test_what_means_nothing_is_refused_in_words(text: str, said: str):
    with pytest.raises(ValidationError, match=said):
        predicate.parse(text)


@given(st.text())
def test_any_text_is_a_condition_or_refused(text: str):
    try:
        condition = predicate.parse(text)
    except ValidationError:
        return
    assert predicate.parse(str(condition)) == condition


@given(st.text(), st.sampled_from(["exists", "missing"]))
def test_any_key_can_be_asked_for(key: str, operator: str):
    path = pointer.join([key])
    condition = predicate.parse(str(predicate.Condition(path, operator)))
    assert condition.holds({key: 1}) == (operator == "exists")


@given(st.integers(), st.integers(), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
def test_numbers_compare_as_python_compares_them(one: int, other: int, operator: str):
    meant: dict[str, Any] = {
        "=": one == other, "!=": one != other, "<": one < other, "<=": one <= other, ">": one > other,
        ">=": one >= other,
    }  # fmt: skip
    assert predicate.parse(f"/n {operator} {other}").holds({"n": one}) == meant[operator]
    assert predicate.parse(f"/n {operator} {other}.0").holds({"n": one}) == meant[operator]


def test_a_number_beyond_all_meaning_compares_with_nothing():
    state = parsing.parse('{"n": 1e99999999999999999999}')
    assert not predicate.parse("/n > 1").holds(state)
    assert not predicate.parse("/n < 1").holds(state)
