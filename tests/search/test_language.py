"""The query language, and the positions of its errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.search import NAMES, Query, QueryError, Term, marked, parse

NOW = 1_790_000_000


def terms(text: str) -> list[Term]:
    return list(parse(text, now=NOW).terms)


def test_words_and_phrases_are_texts_that_must_occur():
    assert parse('error  "exit code 1"').words == ("error", "exit code 1")


def test_a_minus_excludes_a_word_a_phrase_and_a_value():
    query = parse('-error -"exit code" -type:thought', now=NOW)
    assert query.unwanted == ("error", "exit code")
    assert query.values("type", negated=True) == ("thought",)


@pytest.mark.parametrize("name", ["type", "actor", "actor-type", "session", "agent", "commit"])
def test_a_filter_takes_a_word_or_a_phrase(name: str):
    assert terms(f'{name}:a {name}:"b c" {name}:""') == [Term(name, "a"), Term(name, "b c"), Term(name, "")]


def test_a_filters_name_is_read_in_any_case():
    assert terms("Actor_Type:User") == [Term("actor-type", "User")]


def test_times_are_ago_absolute_or_in_seconds():
    query = parse("after:2h before:2026-09-21T14:00", now=NOW)
    assert (query.after, query.before) == (NOW - 7200, 1_789_999_200)
    assert parse("after:12 after:-5").after == 12


def test_a_negated_time_is_the_opposite_bound():
    assert parse("-after:100").before == 100
    assert parse("-before:100").after == 100


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ('say "hello', 4, "Unclosed"),
        ("type:", 5, "needs a value"),
        ("x type: y", 7, "needs a value"),
        ("after:", 6, "needs a time"),
        ("after:soon", 6, "not a valid time"),
        ("a before:tomorrow", 9, "not a valid time"),
        ("ab\0cd", 2, "NUL"),
        ('""', 0, "Empty quotation marks"),
        ("x" * 10_001, 10_000, "10,000"),
        ("x " * 51, 100, "50 terms"),
        ("a\ud800", 1, "Invalid character"),
    ],
)
def test_an_error_has_a_position(text: str, position: int, message: str):
    with pytest.raises(QueryError, match=message) as caught:
        parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "text", ["(", "^", "x:y", "-", "a-b", "%", "_", "*", "NEAR(a b)", 'a"b', "http://x", "AND", "'", "\\"]
)
def test_operators_of_other_languages_are_plain_text(text: str):
    assert " ".join(parse(text).words) == text


def test_an_unknown_filter_is_searched_as_text_with_a_hint():
    query = parse("typ:error")
    assert query.words == ("typ:error",)
    assert "not a filter" in query.hints[0]
    assert not parse("http://example.org").hints


def test_an_empty_query_asks_for_everything():
    assert parse("  ") == Query()


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_an_error_with_a_position(text: str):
    position, again = _position_or_terms(text)
    assert position is None or 0 <= position <= len(text)
    assert again is None or tuple(parse(str(Query(again)), now=NOW).terms) == again


def _position_or_terms(text: str) -> tuple[int | None, tuple[Term, ...] | None]:
    try:
        return None, parse(text, now=NOW).terms
    except QueryError as error:
        return error.position, None


@given(
    st.sampled_from(NAMES[:6]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.booleans(),
)
def test_a_term_is_read_as_it_was_written(name: str, value: str, negated: bool):
    assert terms(str(Term(name, value, negated))) == [Term(name, value, negated)]
    assert terms(str(Term("text", value, negated))) == [Term("text", value, negated)]


def test_a_term_is_removed_and_replaced_by_its_opposite():
    query = parse("error type:a")
    assert str(query.without(Term("type", "a"))) == "error"
    assert str(query.plus(Term("type", "a", negated=True))) == "error -type:a"
    assert str(parse("x after:2h", now=NOW).between(5, None)) == "x after:1970-01-01T00:00:05"


def test_matches_are_marked_in_either_case_of_ascii_letters_only():
    assert marked("Error: ÉTAT error", ["error", "état"]) == [
        ("Error", True), (": ÉTAT ", False), ("error", True),
    ]  # fmt: skip
