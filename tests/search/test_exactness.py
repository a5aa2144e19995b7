"""Every answer equals LIKE over the same rows, newest first, after any changes of rows and index."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statestore import models, search
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.search.fts import index_file, trigram_stats, unindexed
from statestore.search.fts.indexer import Indexer
from tests.builders import NOW, make_event
from tests.faults.scale import times as examples
from tests.search.oracle import everything, like, wrong

pytestmark = pytest.mark.django_db

# Times before 1970, of one second, in milli-, micro- and nanoseconds, and at the limits of a 64-bit column.
TIMES = (NOW, NOW, NOW + 1, NOW - 1, 0, -1, -5_000_000_000, NOW * 10**3, NOW * 10**6, NOW * 10**9, 2**63 - 1, -(2**63))
LETTERS = "abAB%_\"\\' É\u212aéſ"
WORDS = (
    "ab",
    "abc",
    "ABa",
    "a",
    "%",
    "_",
    "a%b",
    "ba\\",
    "É",
    "éab",
    "kba",
    "\u212aab",
    "abab",
    'a"b',
    "s",
    "aa aa",
    "message",
)


def save(verb: str, event_id: str, content: str, at: int) -> None:
    """Save an event as the orchestrator does: over an earlier one of the same id, whose row it replaces."""
    with connections[store_alias()].cursor() as cursor:
        if connections[store_alias()].vendor != "sqlite":
            cursor.execute("DELETE FROM events WHERE id = %s", [event_id])
            verb = "INSERT"
        cursor.execute(
            f"{verb} INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content)"
            " VALUES (%s, 'message', %s, 's-1', 'Agent', 'agent', %s)",
            [event_id, at, content],
        )


def change(sql: str, *parameters: Any) -> None:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(sql, parameters)


def step_a_little() -> None:
    if connections[store_alias()].vendor != "sqlite":
        return
    with index_file.lease() as is_ours:
        assert is_ours
        indexer = Indexer()
        indexer.step()
        indexer.close()


ids = st.sampled_from([f"e{number}" for number in range(8)])
contents = st.text(LETTERS, max_size=8)
times = st.sampled_from(TIMES)
steps = st.one_of(
    st.tuples(st.just(save), st.just("INSERT OR REPLACE"), ids, contents, times),
    st.tuples(st.just(save), st.just("INSERT OR REPLACE"), ids, contents, times),
    st.tuples(st.just(change), st.just("UPDATE events SET content = %s WHERE id = %s"), contents, ids),
    st.tuples(st.just(change), st.just("UPDATE events SET timestamp = %s WHERE id = %s"), times, ids),
    st.tuples(st.just(change), st.just("DELETE FROM events WHERE id = %s"), ids),
    st.tuples(st.just(step_a_little)),
    st.tuples(st.just(search.index_all)),
    st.tuples(st.just(index_file.delete)),
)


@settings(
    max_examples=examples(60, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(steps, max_size=25), st.sampled_from(WORDS))
def test_after_any_changes_the_answer_equals_like(done: list[tuple[Any, ...]], word: str):
    change("DELETE FROM events")
    index_file.delete()
    for act, *arguments in done:
        act(*arguments)
    text = str(search.Term("text", word))
    assert everything(text) == like(word)
    assert everything(text, backwards=True) == like(word)
    search.index_all()
    assert everything(text) == like(word)


def fill(count: int = 400) -> None:
    kinds = ("message", "Error", "tool_use")
    for number in range(count):
        make_event(
            id=f"e{number}", content=f"word{number % 7} common {'x' * (number % 5)} Parser{number}",
            event_type=kinds[number % 3], session_id=f"s-{number % 11}", timestamp=NOW + (number * 37) % 50,
            git_commit=f"{number % 4:040x}" if number % 2 else None,
        )  # fmt: skip


QUERIES: dict[str, Callable[[models.Event], bool]] = {
    "parser12": lambda event: "Parser12" in event.content,
    "common word3": lambda event: "word3" in event.content,
    "common -word3": lambda event: "word3" not in event.content,
    "type:Error": lambda event: event.event_type == "Error",
    "type:Error type:message word1": lambda event: event.event_type != "tool_use" and "word1" in event.content,
    "-type:Error": lambda event: event.event_type != "Error",
    "error": lambda event: event.event_type == "Error",
    "session:s-3 common": lambda event: event.session_id == "s-3",
    "session:none common": lambda event: False,
    "agent:agent-1 xx": lambda event: "xx" in event.content,
    "agent:other": lambda event: False,
    "-agent:agent-1": lambda event: False,
    "actor-type:User": lambda event: False,
    "-actor-type:User common": lambda event: True,
    "commit:00000": lambda event: event.git_commit is not None,
    f"commit:{3:040x}": lambda event: event.git_commit == f"{3:040x}",
    'commit:""': lambda event: event.git_commit is None,
    "-commit:0000": lambda event: event.git_commit is None,
    f"after:{NOW + 20} before:{NOW + 30} common": lambda event: NOW + 20 <= event.timestamp < NOW + 30,
    f"before:{NOW + 3}": lambda event: event.timestamp < NOW + 3,
    "xx": lambda event: "xx" in event.content,
    "-xx": lambda event: "xx" not in event.content,
    "absent": lambda event: False,
}


@pytest.mark.parametrize("indexed", ["indexed", "half", "not indexed"])
@pytest.mark.parametrize("text", QUERIES)
def test_every_filter_keeps_its_events_in_order(text: str, indexed: str):
    fill(200)
    if indexed != "not indexed":
        search.index_all()
    if indexed == "half":
        change("UPDATE events SET timestamp = timestamp + 13 WHERE id LIKE %s", "e%5%")
    rows = models.Event.objects.order_by("-timestamp", "-rowid")
    expected = [row.pk for row in rows if QUERIES[text](row)]
    assert everything(text, limit=20) == expected
    assert everything(text, limit=20, backwards=True) == expected


def test_pages_of_both_directions_meet():
    fill()
    search.index_all()
    query = search.parse("common")
    first = search.find(query, limit=50)
    second = search.find(query, limit=50, cursor=first.older or "")
    back = search.find(query, limit=50, cursor=second.newer or "")
    assert [row.pk for row in back] == [row.pk for row in first]
    assert first.newer is None
    assert search.find(query, limit=50, cursor=search.LAST_PAGE).older is None


def test_an_event_that_was_replaced_between_two_others_of_its_second_moves_to_their_end():
    for number in range(5):
        make_event(id=f"e{number}", content="tie")
    search.index_all()
    save("INSERT OR REPLACE", "e2", "tie", NOW)
    assert everything("tie") == ["e2", "e4", "e3", "e1", "e0"]
    search.index_all()
    assert everything("tie") == ["e2", "e4", "e3", "e1", "e0"]
    change("UPDATE events SET timestamp = %s WHERE id = 'e3'", NOW + 1)
    search.index_all()
    change("UPDATE events SET timestamp = %s WHERE id = 'e3'", NOW)
    search.index_all()
    assert everything("tie") == ["e2", "e4", "e3", "e1", "e0"]


def test_answers_are_exact_while_some_events_are_not_indexed():
    fill()
    search.index_all()
    change("UPDATE events SET content = %s WHERE id LIKE %s", "moved word0 parser", "e1%")
    change("DELETE FROM events WHERE id LIKE %s", "e2%")
    words = [f"Parser{number}" for number in range(0, 400, 9)] + ["word0", "moved", "wo", "x", "s-1", "tool_u"]
    assert wrong(words) == []
    search.index_all()
    assert wrong(words) == []


@pytest.mark.sqlite
def test_an_event_that_made_room_in_a_second_it_has_left_is_placed_where_it_belongs():
    for number in range(3):
        make_event(id=f"e{number}", content="tie", timestamp=NOW)
    make_event(id="late", content="tie", timestamp=NOW + 5)
    search.index_all()
    # e0 is indexed again between the other documents, while e1 has moved to another second and is not marked yet.
    change("UPDATE events SET timestamp = %s WHERE id = 'e1'", NOW + 9)
    change("DELETE FROM dash_dirty")
    change("UPDATE events SET content = 'tie again' WHERE id = 'e0'")
    search.index_all()
    change("UPDATE events SET metadata = '{}' WHERE id = 'e1'")
    search.index_all()
    assert everything("tie") == ["e1", "late", "e2", "e0"]


@pytest.mark.sqlite
@pytest.mark.parametrize(("cursor", "misleading_at"), [("", NOW + 1), (search.LAST_PAGE, NOW - 1)])
def test_if_trigrams_mislead_the_whole_word_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, cursor: str, misleading_at: int
):
    monkeypatch.setattr(trigram_stats, "READ", 0)  # So that a few trigrams of any word seem to suffice.
    monkeypatch.setattr(limits, "PARTIAL_CANDIDATES", 60)
    for _ in range(300):
        make_event(content="abcd bcde", timestamp=misleading_at)
    for _ in range(70):
        make_event(content="abcde", timestamp=NOW)
    search.index_all()
    read: list[int] = []
    among = unindexed.among

    def counted(using: str, query: Any, cursor: Any, names: Any, **more: Any) -> Any:
        read.append(len(names))
        return among(using, query, cursor, names, **more)

    monkeypatch.setattr(unindexed, "among", counted)
    page = search.find(search.parse("abcde"), cursor=cursor, limit=50)
    assert (len(page), page.is_complete, page.notes) == (50, True, ())
    assert 60 < sum(read) <= 60 + 70
    assert everything("abcde") == everything("abcde", backwards=True) == like("abcde")


@settings(
    max_examples=examples(60, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(steps, max_size=25), st.sampled_from(WORDS), st.integers(1, 4))
def test_after_any_changes_portions_lose_and_repeat_nothing(done: list[tuple[Any, ...]], word: str, limit: int):
    change("DELETE FROM events")
    index_file.delete()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "ROWS_AT_ONCE", 1)
        patched.setattr(limits, "LAST_INSERTED_EVENTS", 2)
        for act, *arguments in done:
            act(*arguments)
        text = str(search.Term("text", word))
        assert sorted(everything(text, limit=limit)) == sorted(like(word))
        assert sorted(everything(text, limit=limit, backwards=True)) == sorted(like(word))
        assert sorted(event.pk for event in search.find_all(search.parse(text))) == sorted(like(word))
