"""The histogram: how matches spread over time."""

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import filters, sampling
from statestore.search.filters import Cursor
from statestore.search.fts import index_file, ordering, planner, time_buckets
from statestore.search.fts.coverage import Coverage, coverage
from statestore.search.fts.planner import Plan, Span
from statestore.search.fts.source import batched
from statestore.search.postgres import engine
from statestore.search.query import Query
from statestore.search.results import span

BARS: Final = 48
# A bar with more matches is estimated: from so many at its beginning, and some in its middle.
MOST_IN_BAR: Final = 250
MOST_IN_MIDDLE: Final = 60
# Where an index of ours has nothing but the matches, so many are counted.
MOST_BY_FIELD: Final = 20_000
_SECONDS: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400,
    7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """How many matches there are from `start` up to, and without, `end`."""

    start: int
    end: int
    count: int
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """Matches over time in bars of equal width; `note` says what they do not cover."""

    bars: list[Bar]
    note: str = ""


def histogram(
    query: Query,
    start: int | None = None,
    end: int | None = None,
    *,
    among: EventQuerySet | None = None,
    using: str | None = None,
) -> Histogram:
    """Return how the matches spread from `start` to `end`, where none is given over the time in which there are some.

    A bar with very many is estimated from some of them and from how many events of any kind there are, and says so.
    With `among`, of those events alone.
    """
    using = using or store_alias()
    bounds = (query.after if start is None else start, query.before if end is None else end)
    if among is not None:
        return _of_times(*_times(filters.narrowed(among, query).order_by(*filters.ORDER)), *bounds)
    if not vendor.is_sqlite(connections[using]):
        return _by_database(using, query, *bounds)
    covered = coverage(using)
    if covered.index is None:
        events, is_all = sampling.last_inserted(using, query)
        times, has_more = _times(events)
        return _of_times(times, has_more or not is_all, *bounds)
    with index_file.snapshot(covered.index):
        return _by_index(using, query, covered, *bounds)


def _times(events: Any) -> tuple[list[int], bool]:
    with translated_errors():
        times = list(events.values_list("timestamp", flat=True)[: sampling.MOST_COUNTED + 1])
    known = [int(at) for at in times[: sampling.MOST_COUNTED] if getattr(at, "readable", True)]
    return known, len(times) > sampling.MOST_COUNTED


def _by_database(using: str, query: Query, start: int | None, end: int | None) -> Histogram:
    read = engine.ask(using, query, Cursor(), lambda events: _times(events.order_by(*filters.ORDER)))
    times, has_more = read.answer
    if read.edge is not None or not has_more:
        return _of_times(times, read.edge is not None, start, end)
    oldest = Cursor(backwards=True)
    first = engine.ask(using, query, oldest, lambda events: _times(events.order_by("timestamp", "rowid")[:1])).answer
    bars = bars_between([*first[0], *times], start, end)
    counted = engine.counts(using, query, bars)
    return Histogram([Bar(*ends, *number) for ends, number in zip(bars, counted, strict=True)])


def _by_index(using: str, query: Query, covered: Coverage, start: int | None, end: int | None) -> Histogram:
    plan, covered = sampling.planned(query, covered)
    assert covered.index is not None
    rest, _ = sampling.beside(using, query, covered)
    extra = [int(place.timestamp) for place in rest]
    if not plan.is_exact or plan.is_small:
        found = sampling.newest(using, query, covered, plan)
        times = [*extra, *(ordering.second_of(doc[0]) for doc in found.docs)]
        return _of_times(times, found.last is not None, start, end)
    whole = _within(span(covered.index, query, Cursor()), start, end)
    if plan.by_text and plan.bare and not covered.besides:
        # Each bar is a question of its own: where one question finds them all, it is the quickest.
        numbers = covered.index.execute(plan.bare, (*plan.parameters, whole.low, whole.high, sampling.MOST_COUNTED))
        times = [ordering.second_of(number) for (number,) in numbers.fetchall()]
        if len(times) < sampling.MOST_COUNTED:
            return _of_times([*extra, *times], False, start, end)
    ends = [next(plan.walk(covered.index, whole, backwards=way), None) for way in (True, False)]
    times = [*extra, *(ordering.second_of(found[1][0]) for found in ends if found)]
    bars = bars_between(times, start, end)
    counted = _Counting(covered, plan).counts(bars)
    return Histogram([
        Bar(low, high, number + sum(low <= at < high for at in extra), is_estimate)
        for (low, high), (number, is_estimate) in zip(bars, counted, strict=True)
    ])  # fmt: skip


def _within(where: Span, start: int | None, end: int | None) -> Span:
    low = where.low if start is None else max(where.low, ordering.first_place(start))
    return Span(low, where.high if end is None else min(where.high, ordering.last_place(end - 1)))


class _Counting:
    """How many documents a plan finds in stretches of time: counted where that is cheap, estimated where not."""

    def __init__(self, covered: Coverage, plan: Plan) -> None:
        assert covered.index is not None
        self.index, self.besides, self.plan = covered.index, covered.besides, plan
        self.is_all = not plan.by_text and not plan.parameters and not plan.is_filtered
        self.is_plain = bool(plan.bare) and not (plan.by_text and covered.besides)
        # What changed was read: its documents count no more.
        self.gone = [] if plan.by_text else sorted(_allowed(self.index, plan, covered.besides))

    def counts(self, bars: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bool]]:
        """Return for each bar how many there are, and whether that is an estimate."""
        for low, high in bars:
            within = Span(ordering.first_place(low), ordering.first_place(high) - 1)
            number, is_estimate = self._in_bar(within)
            if self.is_all or self.is_plain:
                number -= bisect_right(self.gone, within.high) - bisect_right(self.gone, within.low - 1)
            yield max(number, 0), is_estimate

    def _in_bar(self, within: Span) -> tuple[int, bool]:
        if self.is_all:
            return time_buckets.count(self.index, within.low, within.high)
        most = MOST_IN_BAR if self.plan.by_text or not self.is_plain else MOST_BY_FIELD
        number, last = self._oldest(within, most)
        if last is None:
            return number, False
        middle = (within.low + within.high) // 2
        if last >= middle:
            return self._estimate(number, last, within), True
        half = Span(middle, within.high)
        more, end = self._oldest(half, MOST_IN_MIDDLE)
        more = more if end is None else self._estimate(more, end, half)
        return self._estimate(number, last, Span(within.low, middle - 1)) + more, True

    def _oldest(self, within: Span, most: int) -> tuple[int, int | None]:
        """Return how many of the oldest there are in a stretch, and where counting ended, None where that is all.

        The oldest come first: FTS5 jumps to where a stretch begins, and walks to where it ends, fifty times as long.
        """
        if self.is_plain:
            sql = f"SELECT count(*), max(rowid) FROM ({self.plan.bare})"  # noqa: S608
            parameters = (*self.plan.parameters, within.low, within.high, most)
            number, last = self.index.execute(sql, parameters).fetchone()
            return number, last if number == most else None
        number = 0
        for looked_at, (allowed, doc) in enumerate(self.plan.walk(self.index, within, backwards=True), 1):
            number += allowed and doc[1] not in self.besides
            if looked_at == most:
                return number, doc[0]
        return number, None

    def _estimate(self, number: int, last: int, within: Span) -> int:
        """Return how many there are in a stretch if they have the same share of its events as up to where was counted.

        Not of its time: a burst of work says nothing about the hours after it.
        """
        seen, _ = time_buckets.count(self.index, within.low, last)
        there, _ = time_buckets.count(self.index, within.low, within.high)
        return min(max(number, round(number * there / max(seen, 1))), max(there, number))


def _allowed(index: sqlite3.Connection, plan: Plan, names: Iterable[bytes]) -> Iterator[int]:
    """Return the numbers of those of some documents that a plan finds."""
    for part in batched(list(names), 900):
        places = ", ".join("?" * len(part))
        docs = index.execute(f"SELECT {planner.DOC} FROM doc d WHERE d.pk IN ({places})", part)  # noqa: S608
        yield from (doc[0] for doc in docs if plan.allows(doc))


def bars_between(times: list[int], start: int | None, end: int | None) -> list[tuple[int, int]]:
    """Return the bars, as (start, end), over a stretch of time; where one end is open, over the given times."""
    low = min(times, default=None) if start is None else start
    high = max(times, default=None) if end is None else end - 1
    if low is None or high is None or high < low:
        return []
    width = next((size for size in _SECONDS if (high - low) / size < BARS), (high - low) // BARS + 1)
    if max(abs(low), abs(high)) >= ordering.EXACT:
        # Among milli- and nanoseconds the index tells apart no more than these.
        width = -(-width // ordering.COARSE) * ordering.COARSE
    bars = ((at, at + width) for at in range(low - low % width, high + 1, width))
    return [(low if start is None else max(low, start), high if end is None else min(high, end)) for low, high in bars]


def _of_times(times: list[int], has_more: bool, start: int | None, end: int | None) -> Histogram:
    if has_more and times:
        # Older ones were not counted: no bar shall say that there are none.
        start = min(times) if start is None else max(start, min(times))
    bars = bars_between(times, start, end)
    if not bars:
        return Histogram([])
    starts = [low for low, _ in bars]
    counts = Counter(bisect_right(starts, at) - 1 for at in times if starts[0] <= at < bars[-1][1])
    note = f"Only the newest {len(times):,} are shown." if has_more else ""
    return Histogram([Bar(low, high, counts[number]) for number, (low, high) in enumerate(bars)], note)
