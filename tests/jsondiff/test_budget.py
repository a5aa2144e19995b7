"""Comparing takes limited effort, counted in work done, for any two states; a page's comparisons share it."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff import alignment, diff, limits, parsing, textdiff
from statestore.jsondiff.budget import Budget, budget_of, remembered, shared_effort

COUNT = 40_000


def members(shift: int) -> Any:
    return {f"k{number}": number + shift for number in range(COUNT)}


def pairs_in_objects(shift: int) -> Any:
    return {f"k{number}": [number + shift] for number in range(COUNT)}


def objects(shift: int) -> Any:
    return [{"a": number + shift, "b": number * 3 - shift} for number in range(COUNT)]


def reordered_objects(shift: int) -> Any:
    names = ("a", "b") if shift else ("b", "a")
    return {f"k{number}": dict.fromkeys(names, 1) for number in range(2 * COUNT)}


def lists(shift: int) -> Any:
    return {"x": [[number, number + shift] for number in range(COUNT)]}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of the steps that each cost more than a microsecond."""
    done: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def count(*arguments: Any) -> Any:
            done[name] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, count)

    counted(diff, "_member_steps")
    counted(diff, "_steps_at")
    counted(alignment, "_exact_key")
    counted(alignment, "likeness")
    counted(parsing, "_leaf")
    return done


@pytest.mark.parametrize("make", [members, pairs_in_objects, objects, reordered_objects, lists])
def test_a_comparison_ends_early_whatever_the_states(
    make: Callable[[int], Any], work: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "DIFF_UNITS", 1_000_000)
    found = diff.compare(json.dumps(make(0)), json.dumps(make(1)))
    assert isinstance(found, diff.JsonComparison)
    assert found.bounded or diff.equal(found.before, found.after)
    # A tenth of a second at a microsecond or more for each.
    assert sum(work.values()) < 60_000, work


def test_comparisons_of_one_page_share_their_effort():
    with shared_effort(limits.DIFF_UNITS // 100) as page:
        first = diff.compare(json.dumps(members(0)), json.dumps(members(1)))
        second = diff.compare(json.dumps({"a": {"b": [1, 2]}}), json.dumps({"a": {"b": [1, 3]}}))
        assert page.is_spent
        assert first.bounded
        assert second.bounded
    alone = diff.compare(json.dumps({"a": {"b": [1, 2]}}), json.dumps({"a": {"b": [1, 3]}}))
    assert not alone.bounded


def test_a_coarse_comparison_is_right_nevertheless():
    before, after = {"a": {"b": [1, 2]}, "c": 1}, {"a": {"b": [1, 3]}, "c": 2}
    with shared_effort(0):
        found = diff.diff(before, after)  # type: ignore[arg-type]
    assert diff.apply(before, found) == after  # type: ignore[arg-type]


def test_one_page_compares_and_parses_the_same_texts_once(monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []
    parse = diff.parse

    def counting(text: str) -> Any:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(diff, "parse", counting)
    with shared_effort(limits.PAGE_UNITS):
        assert diff.compare("[1]", "[2]") is diff.compare("[1]", "[2]")
        diff.compare("[2]", "[3]")
    assert parsed == ["[1]", "[2]", "[3]"]
    diff.compare("[1]", "[2]")
    assert len(parsed) == 5


def test_nothing_is_remembered_from_one_page_to_the_next():
    for value in (1, 2):
        with shared_effort(1):
            assert remembered("key", lambda value=value: value) == value  # type: ignore[misc]


def test_a_budget_within_another_takes_from_both():
    with shared_effort(100) as page:
        assert budget_of(60).consume(60)
        assert not budget_of(60).consume(60)
        assert page.is_spent
    assert budget_of(60).consume(60)
    outer = Budget(100)
    assert not Budget(10, within=outer).consume(20)
    assert outer.consume(100)


def test_states_of_lines_that_are_too_different_are_compared_by_line():
    before, after = (json.dumps(members(shift), indent=1) for shift in (0, 1))
    with shared_effort(100):
        found = diff.compare(before, after)
    assert isinstance(found, diff.TextComparison)
    assert found.coarse
    assert found.reason == diff.TOO_DIFFERENT
    assert found.lines.hunks


def test_word_diffs_of_one_page_share_their_effort():
    before, after = " ".join(map(str, range(10_000))), " ".join(map(str, range(5, 20_000, 2)))
    budget = Budget(limits.CHARACTER_UNITS * (len(before) + len(after)))
    textdiff.diff_words(before, after, budget)
    kinds = [segment.op for segment in textdiff.diff_words(before, after, budget)]
    assert kinds.count(textdiff.Op.DELETE) == kinds.count(textdiff.Op.INSERT) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from([parsing.Number("1e400"), parsing.Number("-0"), "\ud800", "é\x00"]),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)  # fmt: skip


def slow_dump(value: Any) -> str:
    """Return the text as the writer in Python writes it."""
    return parsing.dump([value, parsing.Number("1e400")], indent=None).removeprefix("[").removesuffix(", 1e400]")


@given(JSON)
def test_the_quick_writer_writes_what_the_slow_one_does(value: Any):
    assert parsing.dump(value, indent=None) == slow_dump(value)


@given(JSON, st.integers(0, 60))
def test_the_beginning_of_a_value_is_that_of_its_text(value: Any, characters: int):
    text, beginning = parsing.dump(value, indent=None), parsing.beginning(value, characters)
    assert text.startswith(beginning)
    assert len(beginning) >= min(len(text), characters)
    assert (len(beginning) > characters) >= (len(text) > characters)


def test_the_beginning_of_a_value_costs_no_more_than_it_shows(work: Counter[str]):
    assert len(parsing.beginning(members(0), 1_000)) > 1_000
    assert work["_leaf"] < 200
