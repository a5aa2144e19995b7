"""Completions of the term at the caret: names of filters, and values that exist."""

import pytest

from statestore import search
from tests.builders import make_event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _events() -> None:
    make_event(event_type="error", session_id="build coder", actor_type="Agent", actor_id="coder-1")
    make_event(event_type="Error_100%", session_id="build coda", actor_type="User", actor_id="coda")
    make_event(event_type="message", session_id='say "hi"', actor_type="System", actor_id="cron")
    search.index_all()


def offered(text: str) -> list[str]:
    """Return the completed texts; in `text` and in the result, a bar marks the caret."""
    suggestions = search.complete(text.replace("|", ""), text.index("|"))
    return [f"{each.text[: each.caret]}|{each.text[each.caret :]}" for each in suggestions]


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("type:er|", "type:error |"),
        ("type:er|ror foo", "type:error |foo"),
        ("x -type:|message foo", "x -type:error |foo"),
        ("ty|", "type:|"),
        ("ty|xx foo", "type:| foo"),
        ("ty|pe:error foo", "type:|error foo"),
        ("x -ty| y", "x -type:| y"),
        ('session:"build co|', 'session:"build coda" |'),
        ('session:"build cod|er" x', 'session:"build coda" |x'),
        ("session:bu|", 'session:"build coda" |'),
        ('session:"say \\"|', r'session:"say \"hi\"" |'),
    ],
)
def test_the_term_at_the_caret_is_replaced_and_the_others_stay(typed: str, taken: str):
    assert taken in offered(typed)


@pytest.mark.parametrize("typed", ['"build co|', '"type:|', "nothing:|", "x:ty|", 'session:"build coder" nothing:|'])
def test_nothing_is_offered_within_text(typed: str):
    assert offered(typed) == []


def test_agents_are_those_that_acted_as_agents():
    assert offered("agent:|") == ["agent:coder-1 |"]
    assert offered("actor:|") == ["actor:coda |", "actor:coder-1 |", "actor:cron |"]


def test_a_value_begins_in_either_case_of_ascii():
    assert offered("type:ERR|") == offered("type:err|") == ["type:error |", "type:Error_100% |"]
    assert offered("type:Error_1|") == ["type:Error_100% |"]
    assert offered("type:e_ror|") == []


def test_any_caret_in_any_text_is_answered():
    text = '-session:"build coder" type:er x "y -z: a:"b \\" '
    for caret in range(len(text) + 2):
        for suggestion in search.complete(text, caret):
            assert 0 <= suggestion.caret <= len(suggestion.text)


def test_completions_are_sorted_by_the_numbers_in_them():
    for number in (10, 2, 1, 33):
        make_event(actor_id=f"agent-{number}", session_id=f"s{number}")
    search.index_all()
    assert [offer.partition("|")[0].strip() for offer in offered("agent:a|")] == [
        f"agent:agent-{number}" for number in (1, 2, 10, 33)
    ]
    facets = search.facets_of(search.parse(""))
    assert [session for session, _ in facets.values["session"] if session[0] == "s" and session[1:].isdigit()] == [
        "s1",
        "s2",
        "s10",
        "s33",
    ], "of equal numbers"
