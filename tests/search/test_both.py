"""What both databases answer alike: short words in portions, contents of any size, bars over all matches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections

from statestore import search
from statestore.db import transactions
from statestore.db.routers import store_alias
from statestore.errors import TooSlow
from statestore.search import limits
from statestore.store import StateStore
from tests.builders import NOW, make_event
from tests.search.oracle import everything

pytestmark = [pytest.mark.django_db]


@pytest.mark.parametrize("text", ["q", "zq", "%", "é", "zq -type:other", "zq session:session-1", "zq -nothing"])
def test_a_short_word_is_searched_in_portions_and_the_page_says_so(text: str, monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        make_event(id=f"e{number}", content="zq é % a" if number == 3 else "other", timestamp=NOW + number)
    search.index_all()
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 10)
    monkeypatch.setattr(limits, "FEW_DOCUMENTS", 1)
    page = search.find(search.parse(text), limit=5)
    assert not page.is_complete
    assert page.older
    assert "Only 10 events were read" in page.notes[0]
    assert "words of fewer than three characters are not indexed" in page.notes[0]
    assert "2026-" in page.notes[0]
    assert everything(text, limit=5) == ["e3"], "further pages find it"
    assert everything(text, limit=5, backwards=True) == ["e3"]


@pytest.mark.parametrize(
    ("text", "content", "other"), [("100%", "at 100% now", "at 1000"), ("read_file", "read_file", "read-file")]
)
@pytest.mark.parametrize("is_indexed", [True, False])
def test_percent_and_underscore_are_plain_characters_as_the_docs_say(
    index_file: Path, text: str, content: str, other: str, is_indexed: bool
):
    make_event(id="plain", content=content)
    make_event(id="wild", content=other)
    if is_indexed:
        search.index_all()
    assert [event.pk for event in search.find(search.parse(text))] == ["plain"]
    assert [event.pk for event in StateStore().search_events(text)] == ["plain"]
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events WHERE content LIKE %s", [f"%{text}%"])
        assert cursor.fetchone() == (2,), "the orchestrator's own pattern"


def test_a_full_page_of_a_short_word_has_no_note(monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        make_event(id=f"e{number}", content="ab", timestamp=NOW + number)
    search.index_all()
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 10)
    page = search.find(search.parse("ab"), limit=5)
    assert ([event.pk for event in page], page.notes) == ([f"e{number}" for number in range(39, 34, -1)], ())
    assert everything("ab", limit=4) == [f"e{number}" for number in range(39, -1, -1)]


def test_facets_and_histogram_of_a_short_word_say_how_far_they_reach(monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        make_event(content="ab" if number % 2 else "other", timestamp=NOW + number)
    search.index_all()
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 10)
    counted = search.facets_of(search.parse("ab"))
    assert counted.has_more
    assert counted.total <= 10
    assert "2026-" in counted.reach
    assert "are shown" in search.histogram_of(search.parse("ab")).note


def test_a_word_is_found_wherever_it_is_in_a_large_content():
    make_event(id="large", content="alpha " + "x" * limits.INDEXED_BYTES + " omega", timestamp=NOW + 1)
    make_event(id="small", content="alpha")
    search.index_all()
    assert everything("alpha") == ["large", "small"]
    assert everything("omega") == ["large"]
    assert everything("alpha -omega") == ["small"]


def test_bars_cover_all_matches_and_not_only_the_newest(monkeypatch: pytest.MonkeyPatch):
    for number in range(300):
        make_event(content="often" if number % 3 else "seldom", timestamp=NOW + number * 3600)
    search.index_all()
    monkeypatch.setattr(limits, "SAMPLED_EVENTS", 50)
    for text, expected in (("", 300), ("often", 200), ("seldom", 100), ("type:message often", 200)):
        drawn = search.histogram_of(search.parse(text))
        assert drawn.note == ""
        assert drawn.bars[0].start <= NOW + 3600
        assert drawn.bars[-1].end > NOW + 297 * 3600
        assert sum(bar.count for bar in drawn.bars) == expected, text


@pytest.mark.skipif(connections[store_alias()].vendor == "sqlite", reason="the FTS5 index counts them")
def test_a_bar_with_very_many_matches_is_estimated(monkeypatch: pytest.MonkeyPatch):
    for number in range(200):
        make_event(content="often" if number % 2 else "seldom", timestamp=NOW + number)
    monkeypatch.setattr(limits, "SAMPLED_EVENTS", 20)
    monkeypatch.setattr(limits, "BAR_EVENTS", 2)
    drawn = search.histogram_of(search.parse("often"))
    assert any(bar.is_estimate for bar in drawn.bars)
    assert 60 <= sum(bar.count for bar in drawn.bars) <= 140


def test_a_burst_at_the_beginning_of_a_bar_is_not_extrapolated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BAR_EVENTS", 10)
    monkeypatch.setattr(limits, "BAR_DOCUMENTS", 10)
    monkeypatch.setattr(limits, "SAMPLED_EVENTS", 20)
    for number in range(40):
        make_event(content="burst", timestamp=NOW + number // 20)
    make_event(content="burst", timestamp=NOW + 40 * 86400)
    search.index_all()
    drawn = search.histogram_of(search.parse("burst"))
    assert 41 <= sum(bar.count for bar in drawn.bars) <= 45


@pytest.mark.skipif(connections[store_alias()].vendor == "sqlite", reason="SQLite has no time limit")
def test_a_query_that_takes_too_long_is_answered_from_fewer_events(monkeypatch: pytest.MonkeyPatch):
    for number in range(40):
        make_event(id=f"e{number}", content="word" if number in (3, 35) else "other", timestamp=NOW + number)
    with (
        pytest.raises(TooSlow),
        transactions.in_time(store_alias(), 0.05),
        connections[store_alias()].cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(5)")

    @contextmanager
    def never(using: str, seconds: float) -> Iterator[None]:
        if seconds:
            raise TooSlow("too slow")
        yield

    monkeypatch.setattr(transactions, "in_time", never)
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 10)
    page = search.find(search.parse("word"))
    assert [event.pk for event in page] == ["e35"]
    assert "did not find them all within 5 s" in page.notes[0]
    assert everything("word") == ["e35", "e3"]
    assert search.facets_of(search.parse("word")).reach
