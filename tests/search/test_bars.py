"""The histogram: its counts, its bounds, and estimates by the share of events instead of time."""

import random
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections

from statestore import search
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.search.fts import counting, index_file, ordering, time_buckets
from tests.builders import NOW, make_event

pytestmark = pytest.mark.django_db

HOUR = 3600


def matches_between(text: str, low: int, high: int) -> int:
    """Return how many events a click on a bar finds."""
    return len(search.find(search.parse(str(search.parse(text).between(low, high))), limit=2_000))


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that a few events are very many."""
    monkeypatch.setattr(limits, "FEW_DOCUMENTS", 4)
    monkeypatch.setattr(limits, "RARE_DOCUMENTS", 2)
    monkeypatch.setattr(limits, "SORTABLE_DOCUMENTS", 6)
    monkeypatch.setattr(limits, "SAMPLED_EVENTS", 5)
    monkeypatch.setattr(limits, "BAR_DOCUMENTS", 20)
    monkeypatch.setattr(limits, "BAR_MIDDLE_DOCUMENTS", 5)


@pytest.mark.sqlite
@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("text", ["", "word", "type:message", "type:message -actor:x"])
def test_a_burst_at_the_beginning_of_a_bar_is_not_extrapolated(text: str):
    """Regression: 400 events within two seconds were estimated as seven million."""
    for number in range(200):
        make_event(content="a word", timestamp=NOW // (12 * HOUR) * 12 * HOUR + number // 100)
    make_event(content="a word", timestamp=NOW + 20 * 24 * HOUR)
    search.index_all()
    drawn = search.histogram_of(search.parse(text))
    assert drawn.bars[0].count == 200, drawn.bars[0]


@pytest.mark.sqlite
@pytest.mark.usefixtures("crowded")
def test_a_word_that_grows_rarer_is_looked_up_once_for_each_bar(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BAR_DOCUMENTS", 6)
    begin = NOW // HOUR * HOUR
    for number in range(1_200):
        is_late = number >= 600
        has_word = number % (6 if is_late else 2) == 0
        make_event(content="a word" if has_word else "nothing", timestamp=begin + number * 30)
    search.index_all()
    looks: list[object] = []
    oldest = counting.BarCounter._oldest

    def counted(self: counting.BarCounter, *words: Any) -> tuple[int, int | None]:
        looks.append(words)
        return oldest(self, *words)

    monkeypatch.setattr(counting.BarCounter, "_oldest", counted)
    bars = search.histogram_of(search.parse("word")).bars
    counted_bars = [(bar.count, matches_between("word", bar.start, bar.end)) for bar in bars]
    assert any(bar.is_estimate for bar in bars)
    assert len(looks) <= len(bars) + 1, "The next bar's beginning tells of this one's end; the last has no next one."
    assert all(abs(count - exact) <= max(4, exact * 0.4) for count, exact in counted_bars), counted_bars


@pytest.mark.sqlite
@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize("text", ["", "type:message", "session:session-1"])
def test_names_are_counted_and_not_estimated(text: str):
    chance = random.Random(3)
    times = [NOW + chance.choice((0, 5, 7, 90_000)) * number + chance.randrange(3) for number in range(150)]
    for number, at in enumerate(times):
        make_event(id=f"e{number}", content="a word", timestamp=at)
    search.index_all()
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET timestamp = timestamp + 400 WHERE id LIKE 'e1%%'")
    drawn = search.histogram_of(search.parse(text))
    assert not any(bar.is_estimate for bar in drawn.bars)
    assert [bar.count for bar in drawn.bars] == [matches_between(text, bar.start, bar.end) for bar in drawn.bars]
    assert sum(bar.count for bar in drawn.bars) == 150


def test_a_name_that_is_not_indexed_yet_has_bars_of_its_own_events_only():
    """Regression: its bars counted all events of their time."""
    for number in range(40):
        make_event(event_type="known", timestamp=NOW + number)
    search.index_all()
    for number in range(3):
        make_event(event_type="new", timestamp=NOW + number * 10)
    assert sum(bar.count for bar in search.histogram_of(search.parse("type:new")).bars) == 3


@pytest.mark.sqlite
def test_time_buckets_follow_insertions_and_deletions():
    for number in range(40):
        make_event(id=f"e{number}", timestamp=(number - 20) * 97)
    search.index_all()
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("DELETE FROM events WHERE id LIKE 'e3%%'")
        cursor.execute("UPDATE events SET timestamp = timestamp * 2 WHERE id LIKE 'e2%%'")
    search.index_all()
    index = index_file.reading()
    assert index is not None
    for low in range(-2000, 4000, 61):
        for high in (low + 1, low + 299, low + 1000):
            places = ordering.first_docid(low), ordering.last_docid(high)
            (number,) = index.execute("SELECT count(*) FROM doc WHERE docid BETWEEN ? AND ?", places).fetchone()
            assert time_buckets.count(index, *places) == (number, False), (low, high)
    assert index.execute("SELECT sum(count) FROM tally").fetchone() == (29,)


@pytest.mark.parametrize("text", ["", "word", "type:message"])
def test_bars_span_the_time_of_the_query(text: str):
    for number in range(100):
        make_event(content="a word", timestamp=NOW + number * 600)
    after, before = NOW + 1_234, NOW + 50_001
    query = search.parse(f"{text} after:{after} before:{before}")
    for indexed in (False, True):
        if indexed:
            search.index_all()
        drawn = search.histogram_of(query)
        assert (drawn.bars[0].start, drawn.bars[-1].end) == (after, before)
        assert all(bar.end == following.start for bar, following in pairwise(drawn.bars))
        assert sum(bar.count for bar in drawn.bars) == len(search.find(query, limit=200))
        assert [bar.count for bar in drawn.bars] == [matches_between(text, bar.start, bar.end) for bar in drawn.bars]


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
@pytest.mark.parametrize("text", ["", "word", "type:message"])
@pytest.mark.parametrize("step", [1, 50, 100_000])
def test_bars_of_times_finer_than_seconds_can_be_zoomed(unit: int, text: str, step: int):
    for number in range(40):
        make_event(content="a word", timestamp=NOW * unit + number * unit * step // 7)
    search.index_all()
    drawn = search.histogram_of(search.parse(text))
    assert drawn.bars[0].start <= NOW * unit < drawn.bars[0].end
    assert sum(bar.count for bar in drawn.bars) == 40
    assert [bar.count for bar in drawn.bars] == [matches_between(text, bar.start, bar.end) for bar in drawn.bars]
    inner: Any = search.parse(text).between(drawn.bars[0].start, drawn.bars[0].end - 1)
    assert sum(bar.count for bar in search.histogram_of(inner).bars) == len(search.find(inner, limit=100))
