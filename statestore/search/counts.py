"""Numbers beside an answer: how often each value occurs in it, and how it spreads over time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections
from django.db.models import Max, Min

from statestore import dialect
from statestore.querysets import EventQuerySet
from statestore.routers import store_alias
from statestore.search import candidates, clauses, file, marks, order, reading
from statestore.search.candidates import Doc, Plan, Span
from statestore.search.clauses import Cursor
from statestore.search.found import span
from statestore.search.language import FIELDS, Query
from statestore.search.state import Coverage, coverage

# The newest matches that facets are counted over; where each has to be read, as many as are read for a page.
MOST_COUNTED: Final = 5_000
MOST_READ: Final = candidates.MOST_READ
VALUES_SHOWN: Final = 8
BARS: Final = 48
# Documents that are looked at for facets where filters turn most of them away.
MOST_LOOKED_AT: Final = 15_000
# Of a bar with more matches than this, the height is estimated from these.
MOST_IN_BAR: Final = 250
_SECONDS: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400,
    7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400,
)  # fmt: skip
Row = tuple[Any, Any, Any, Any, Any]  # type, actor type, actor, session, commit
_COLUMNS: Final = ("event_type", "actor_type", "actor_id", "session_id", "git_commit")


@dataclass(frozen=True, slots=True)
class Facets:
    """{filter's name: its commonest values with how often they occur} over the newest matches.

    `total` is how many matches were counted; where `has_more`, others may be among what was not looked at, and `reach`
    says, in words, up to where that is.
    """

    values: dict[str, list[tuple[str, int]]]
    total: int
    has_more: bool
    reach: str = ""


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


def facets(query: Query, *, among: EventQuerySet | None = None, using: str | None = None) -> Facets:
    """Return how often each value occurs among the newest matches; with `among`, of those events alone."""
    using = using or store_alias()
    if among is not None or not dialect.is_sqlite(connections[using]):
        events = reading.events_of(using) if among is None else among
        return _counted_rows(*_rows(clauses.narrowed(events, query).order_by(*clauses.ORDER)))
    covered = coverage(using)
    if covered.index is None:
        events, is_all = _last_inserted(using, query)
        rows, has_more = _rows(events)
        reach = "" if is_all else f"among the {reading.MOST_ROWS:,} events that were saved last"
        return _counted_rows(rows, has_more or not is_all, reach)
    with file.snapshot(covered.index):
        plan, covered = _planned(query, covered)
        matches = _matches(using, query, covered, plan)
        rest, more = _rest(using, query, covered)
        reach = f"back to {order.when(matches.last)}" if matches.last is not None else "so far" if more else ""
        return _counted(covered, matches.docs, rest, matches.last is not None or more, reach)


def _rows(events: Any) -> tuple[list[Row], bool]:
    with dialect.translated_errors():
        rows = list(events.values_list(*_COLUMNS)[: MOST_COUNTED + 1])
    return rows[:MOST_COUNTED], len(rows) > MOST_COUNTED


def _last_inserted(using: str, query: Query) -> tuple[Any, bool]:
    """Return the matches among the events that were inserted last, and whether those are all events."""
    events = reading.events_of(using)
    ends = events.aggregate(low=Min("rowid"), high=Max("rowid"))
    above = (ends["high"] or 0) - reading.MOST_ROWS
    is_all = ends["low"] is None or ends["low"] > above
    return clauses.narrowed(events.filter(rowid__gt=above), query).order_by("-rowid"), is_all


@dataclass(frozen=True, slots=True)
class _Matches:
    """The newest documents that answer a query, and the second up to which was looked; None where that is all."""

    docs: list[Doc]
    last: int | None = None


def _planned(query: Query, covered: Coverage) -> tuple[Plan, Coverage]:
    """Return how to find what is counted, and what has to be read beside it."""
    assert covered.index is not None
    plan, where = candidates.plan(covered.index, query, counting=True), span(covered.index, query, Cursor())
    return plan, covered.with_whole(where.low, where.high) if plan.by_text else covered


def _matches(using: str, query: Query, covered: Coverage, plan: Plan) -> _Matches:
    """Return the newest documents that answer a query."""
    assert covered.index is not None
    most = MOST_COUNTED if plan.is_exact else MOST_READ
    docs: list[Doc] = []
    for looked_at, (allowed, doc) in enumerate(plan.walk(covered.index, span(covered.index, query, Cursor())), 1):
        if allowed and doc[1] not in covered.marked:
            docs.append(doc)
        if len(docs) >= most or looked_at >= MOST_LOOKED_AT:
            return _Matches(_checked(using, query, plan, docs), order.second_of(doc[0]))
    return _Matches(_checked(using, query, plan, docs))


def _checked(using: str, query: Query, plan: Plan, docs: list[Doc]) -> list[Doc]:
    if plan.is_exact:
        return docs
    parts = reading.among(using, query, Cursor(), [doc[1] for doc in docs])
    right = {marks.name_of(place.pk) for part in parts for place in part}
    return [doc for doc in docs if doc[1] in right]


def _rest(using: str, query: Query, covered: Coverage) -> tuple[list[reading.Place], bool]:
    """Return the matches that the index does not cover, and whether there are others."""
    found = [p for part in reading.among(using, query, Cursor(), list(covered.marked)) for p in part]
    unread = reading.in_ranges(using, query, Cursor(), covered.unread, MOST_READ)
    known = {place.pk for place in found}
    found += [place for place in unread.found if place.pk not in known]
    return found, unread.edge is not None or len(unread.found) == MOST_READ


def _counted(covered: Coverage, docs: list[Doc], rest: list[reading.Place], has_more: bool, reach: str) -> Facets:
    assert covered.index is not None
    columns = (2, 4, 3, 5, None, 6)
    counters: dict[str, Counter[Any]] = {
        name: Counter(doc[place] for doc in docs) for name, place in zip(FIELDS, columns, strict=True) if place
    }
    agent = candidates.agents(covered.index)
    counters["agent"] = Counter(doc[4] for doc in docs if doc[3] in agent)
    counters["commit"].pop(None, None)
    named = {name: Counter(_named(covered, counter)) for name, counter in counters.items()}
    for start in range(0, len(rest), reading.NAMES_AT_ONCE):
        pks = [place.pk for place in rest[start : start + reading.NAMES_AT_ONCE]]
        rows, _ = _rows(reading.events_of(store_alias()).filter(pk__in=pks).order_by())
        for name, counter in _counters(rows).items():
            named[name].update(counter)
    return _facets(named, len(docs) + len(rest), has_more, reach)


def _named(covered: Coverage, counter: Counter[Any]) -> dict[str, int]:
    """Return the commonest values by name; more than are shown, since others may be added to them."""
    common = counter.most_common(VALUES_SHOWN * 4)
    assert covered.index is not None
    sql = f"SELECT id, text FROM name WHERE id IN ({', '.join('?' * len(common))})"  # noqa: S608
    names = dict(covered.index.execute(sql, [number for number, _ in common]))
    return {names[number]: count for number, count in common if number in names}


def _counters(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    rows = list(rows)
    found = {
        name: Counter(str(row[place]) for row in rows if row[place] is not None)
        for name, place in (("type", 0), ("actor", 2), ("actor-type", 1), ("session", 3), ("commit", 4))
    }
    return found | {"agent": Counter(str(row[2]) for row in rows if row[1] == "Agent")}


def _counted_rows(rows: list[Row], has_more: bool, reach: str = "") -> Facets:
    return _facets(_counters(rows), len(rows), has_more, reach)


def _facets(counters: dict[str, Counter[str]], total: int, has_more: bool, reach: str) -> Facets:
    return Facets({name: counters[name].most_common(VALUES_SHOWN) for name in FIELDS}, total, has_more, reach)


def histogram(
    query: Query,
    start: int | None = None,
    end: int | None = None,
    *,
    among: EventQuerySet | None = None,
    using: str | None = None,
) -> Histogram:
    """Return how the matches spread from `start` to `end`, where none is given over the time in which there are some.

    A bar with very many is estimated from its oldest ones, and says so. With `among`, of those events alone.
    """
    using = using or store_alias()
    bounds = (query.after if start is None else start, query.before if end is None else end)
    if among is not None or not dialect.is_sqlite(connections[using]):
        events = clauses.narrowed(reading.events_of(using) if among is None else among, query)
        return _of_times(_times(events.order_by(*clauses.ORDER)), *bounds)
    covered = coverage(using)
    if covered.index is None:
        events, is_all = _last_inserted(using, query)
        times, has_more = _times(events)
        return _of_times((times, has_more or not is_all), *bounds)
    with file.snapshot(covered.index):
        return _by_index(using, query, covered, *bounds)


def _times(events: Any) -> tuple[list[int], bool]:
    with dialect.translated_errors():
        times = list(events.values_list("timestamp", flat=True)[: MOST_COUNTED + 1])
    return [int(at) for at in times[:MOST_COUNTED] if getattr(at, "readable", True)], len(times) > MOST_COUNTED


def _by_index(using: str, query: Query, covered: Coverage, start: int | None, end: int | None) -> Histogram:
    plan, covered = _planned(query, covered)
    assert covered.index is not None
    rest, _ = _rest(using, query, covered)
    extra = [int(place.timestamp) for place in rest]
    if not plan.is_exact or plan.is_small:
        matches = _matches(using, query, covered, plan)
        times = [*extra, *(order.second_of(doc[0]) for doc in matches.docs)]
        return _of_times((times, matches.last is not None), start, end)
    whole = span(covered.index, query, Cursor())
    if plan.bare and not covered.marked:
        # Each bar is a question of its own: where one question finds them all, it is the quickest.
        numbers = _numbers(plan, covered, whole, MOST_COUNTED)
        if len(numbers) < MOST_COUNTED:
            return _of_times(([*extra, *(number >> order.PLACE_BITS for number in numbers)], False), start, end)
    ends = [next(plan.walk(covered.index, whole, backwards=way), None) for way in (True, False)]
    times = [*extra, *(found[1][0] >> order.PLACE_BITS for found in ends if found)]
    bars = []
    for low, high in bars_between(times, start, end):
        counted = _in_bar(plan, covered, Span(order.first_place(low), order.first_place(high) - 1))
        more = sum(low <= at < high for at in extra)
        bars.append(Bar(low, high, counted[0] + more, counted[1]))
    return Histogram(bars)


def _in_bar(plan: Plan, covered: Coverage, within: Span) -> tuple[int, bool]:
    """Return how many documents there are in a stretch of time, and whether that is an estimate.

    The oldest come first: FTS5 jumps to where a stretch begins, and walks to where it ends, fifty times as long.
    """
    assert covered.index is not None
    if plan.bare and not covered.marked:
        numbers = _numbers(plan, covered, within, MOST_IN_BAR)
        return _estimate(len(numbers), numbers[-1], within) if len(numbers) == MOST_IN_BAR else (len(numbers), False)
    count = 0
    for looked_at, (allowed, doc) in enumerate(plan.walk(covered.index, within, backwards=True), 1):
        count += allowed and doc[1] not in covered.marked
        if looked_at == MOST_IN_BAR:
            return _estimate(count, doc[0], within)
    return count, False


def _numbers(plan: Plan, covered: Coverage, within: Span, most: int) -> list[int]:
    """Return the oldest numbers of documents in a stretch of time."""
    assert covered.index is not None
    found = covered.index.execute(plan.bare, (*plan.parameters, within.low, within.high, most))
    return [number for (number,) in found.fetchall()]


def _estimate(count: int, last: int, within: Span) -> tuple[int, bool]:
    """Return how many there are in a stretch of time if the rest of it is like what was looked at."""
    share = (last - within.low + 1) / (within.high - within.low + 1)
    return max(count, round(count / share)), True


def bars_between(times: list[int], start: int | None, end: int | None) -> list[tuple[int, int]]:
    """Return the bars, as (start, end), over a stretch of time; where one end is open, over the given times."""
    low = min(times, default=None) if start is None else start
    high = max(times, default=None) if end is None else end - 1
    if low is None or high is None or high < low:
        return []
    width = next((size for size in _SECONDS if (high - low) / size < BARS), (high - low) // BARS + 1)
    first = low - low % width
    return [(at, at + width) for at in range(first, high + 1, width)]


def _of_times(found: tuple[list[int], bool], start: int | None, end: int | None) -> Histogram:
    times, has_more = found
    if has_more and times:
        start = min(times)  # Older ones were not counted: no bar shall say that there are none.
    bars = bars_between(times, start, end)
    if not bars:
        return Histogram([])
    width = bars[0][1] - bars[0][0]
    counts = Counter((at - bars[0][0]) // width for at in times)
    note = f"Only the newest {len(times):,} are drawn." if has_more else ""
    return Histogram([Bar(low, high, counts[number]) for number, (low, high) in enumerate(bars)], note)
