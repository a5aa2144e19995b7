"""The Python API's search: the answers of LIKE for any text, by the index, within a namespace."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from statestore import models, search
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.store import StateStore
from tests.builders import NOW, make_agent, make_event, make_session
from tests.examples import thoroughly_on_the_store
from tests.search.oracle import like

pytestmark = pytest.mark.django_db

LETTERS = "abAB%_\"\\' -:É\u212aéſ"
# Texts that the search box would read as something else are texts here.
TEXTS = [
    "type:message",
    '"a b"',
    "-ab",
    "agent:",
    'a"b',
    "\\",
    "abc",
    "ABA",
    "É",
    "kba",
    "ab",
    "a",
    "%",
    "_",
    " ",
    "aa  ",
]


def found(text: str, limit: int | None = 100, **names: str) -> list[str]:
    return [event.pk for event in StateStore(**names).search_events(text, limit)]  # type: ignore[arg-type]


@thoroughly_on_the_store
@given(
    st.lists(st.tuples(st.text(LETTERS, max_size=8) | st.sampled_from(TEXTS), st.integers(0, 2)), max_size=8),
    st.integers(0, 8),
    st.text(LETTERS, max_size=4) | st.sampled_from(TEXTS),
    st.integers(0, 4),
)
@example([("type:message", 0), ("type:message", 0)], 1, "type:message", 1)
def test_the_answers_are_those_of_like(events: list[tuple[str, int]], indexed: int, text: str, limit: int):
    models.Event.objects.all().delete()
    for number, (content, later) in enumerate(events):
        if number == indexed:
            search.index_all()
        make_event(id=f"e{number}", content=content, timestamp=NOW + later)
    assert found(text, limit) == like(text)[:limit]
    assert found(text, None) == like(text)


@pytest.mark.parametrize("text", ["a\0b", "\udcff", "caf\udcc3"])
def test_texts_that_no_search_box_takes_are_answered_as_by_the_table(text: str):
    make_event(id="e1", content="a")
    search.index_all()
    assert found(text) == [event.pk for event in models.Event.objects.matching(text).newest_first()]


def test_an_event_is_found_in_the_transaction_that_saved_it():
    make_event(id="e1", content="needle")
    search.index_all()
    with StateStore().transaction() as store:
        store.save_event({"event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "a",
                          "content": "A needle", "id": "e2"})  # fmt: skip
        assert [event.pk for event in store.search_events("NEEDLE")] == ["e2", "e1"]


@pytest.mark.parametrize("prefix", [None, "build"])
def test_the_table_is_not_read_for_a_text_that_the_index_has(prefix: str | None, on_sqlite: bool):
    if not on_sqlite:
        pytest.skip("PostgreSQL chooses its trigram index by itself")
    make_agent("builder", namespace="build")
    for number in range(30):
        make_event(id=f"e{number}", content=f"needle {number % 2}", actor_id="builder", timestamp=NOW + number)
    search.index_all()
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        events = StateStore(prefix=prefix).search_events("needle 1", limit=5)
    assert [event.pk for event in events] == ["e29", "e27", "e25", "e23", "e21"]
    assert events[0].content == "needle 1"
    scans = [query["sql"] for query in asked if "LIKE" in query["sql"] and '"id" IN (' not in query["sql"]]
    assert scans == []


@pytest.mark.parametrize("most_outside", [0, 3, 2_000])
def test_a_prefix_keeps_its_namespace_however_many_matches_lie_outside(
    most_outside: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "OUTSIDE_EVENTS", most_outside)
    monkeypatch.setattr(limits, "IDS_PER_PAGE", 4)
    make_agent("builder", namespace="build")
    make_agent("watcher", namespace="ops")
    make_session("builder", id="own")
    for number in range(20):
        make_event(id=f"e{number}", content="needle", actor_id="watcher", timestamp=NOW + number)
    make_event(id="acted", content="needle", actor_id="builder", timestamp=NOW + 3)
    make_event(id="said", content="needle", session_id="own", timestamp=NOW + 1)
    make_event(id="other", content="hay", actor_id="builder")
    search.index_all()
    assert found("needle", prefix="build") == ["acted", "said"]
    assert found("needle", 1, prefix="build") == ["acted"]
    assert len(found("needle")) == 22
    assert found("needle", prefix="none") == []


def test_a_page_on_which_the_engine_stops_early_loses_no_match(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "LAST_INSERTED_EVENTS", 3)
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 3)
    monkeypatch.setattr(limits, "PAGE_CANDIDATES", 3)
    for number in range(20):
        make_event(id=f"e{number}", content="needle" if number in (2, 11) else "hay", timestamp=NOW + number)
    assert found("needle") == ["e11", "e2"]
    search.index_all()
    assert found("needle") == ["e11", "e2"]
