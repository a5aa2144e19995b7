"""Reading events that the index does not cover: those that changed since, and all of them where there is no index."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from django.db.models import Max, Min

from statestore import models
from statestore.db.errors import translated_errors
from statestore.models.events import EventQuerySet
from statestore.search.filters import Cursor, narrowed
from statestore.search.fts import ordering
from statestore.search.fts.change_log import name_of, pk_of
from statestore.search.fts.coverage import Coverage
from statestore.search.query import Query

ROWS_AT_ONCE: Final = 10_000
NAMES_AT_ONCE: Final = 500
# Of events over a megabyte fewer: while they are read, the orchestrator may have to wait.
LARGE_AT_ONCE: Final = 8
# Where there is no index yet, so many of the events inserted last are read for one answer.
MOST_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """An event that answers a query, and what it is sorted by."""

    key: tuple[int, Any, int]
    timestamp: Any
    rowid: int
    pk: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(False, self.timestamp, self.rowid, self.pk)


def events_of(using: str) -> EventQuerySet:
    """Return all events of a store."""
    return models.Event.objects.using(using)


def places(events: EventQuerySet, limit: int | None = None) -> list[Place]:
    """Return where some events stand."""
    with translated_errors():
        rows = list(events.values_list("pk", "timestamp", "rowid")[:limit])
    return [Place(ordering.key(at, rowid), at, rowid, pk) for pk, at, rowid in rows]


def among(
    using: str, query: Query, cursor: Cursor, names: Sequence[bytes], *, at_once: int = NAMES_AT_ONCE
) -> Iterator[list[Place]]:
    """Return those of some events that answer a query beyond a cursor, portion by portion."""
    for start in range(0, len(names), at_once):
        pks = [pk_of(name) for name in names[start : start + at_once]]
        found = places(narrowed(events_of(using).filter(pk__in=pks), query).filter(cursor.beyond).order_by())
        yield [place for place in found if cursor.holds(place.rowid)]


def besides(using: str, query: Query, cursor: Cursor, covered: Coverage) -> list[Place]:
    """Return the answers among the events that the index has not as they are, or not whole."""
    marked = among(using, query, cursor, list(covered.marked))
    large = among(using, query, cursor, [n for n in covered.large if n not in covered.marked], at_once=LARGE_AT_ONCE)
    return [place for part in chain(marked, large) for place in part]


def best(found: Iterable[Place], limit: int, *, backwards: bool) -> list[Place]:
    """Return the first few in the order of the page: newest first, or oldest first when going backwards."""
    pick = heapq.nsmallest if backwards else heapq.nlargest
    return pick(limit, found, key=lambda place: place.key)


@dataclass(frozen=True, slots=True)
class Range:
    """What was found in ranges of rowids, and how many of their rows were read.

    Where there was no time to read all, `edge` is the last rowid that was read, or, going up, the first that was not.
    """

    found: list[Place]
    read: int = 0
    edge: int | None = None


def in_ranges(using: str, query: Query, cursor: Cursor, ranges: Iterable[tuple[int, int]], limit: int) -> Range:
    """Return the answers among the events of some ranges, by short reads, those inserted last first or going up."""
    found: list[Place] = []
    read = 0
    way = ("timestamp", "rowid") if cursor.backwards else ("-timestamp", "-rowid")
    # Meanwhile others may have come to the portion that a page began with.
    most = MOST_ROWS * 2 if cursor.is_bounded else MOST_ROWS
    for low, high in _portions(using, cursor, ranges):
        if read >= most:
            return Range(found, read, low if cursor.goes_up else high + 1)
        rows = narrowed(events_of(using).filter(rowid__gte=low, rowid__lte=high), query)
        found = best([*found, *places(rows.filter(cursor.beyond).order_by(*way), limit)], limit,
                     backwards=cursor.backwards)  # fmt: skip
        read += high - low + 1
    return Range(found, read)


def _portions(using: str, cursor: Cursor, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return the rows of some ranges in portions that are read at once, in the order in which they are.

    Where no rows are, none are read: an event may have any rowid.
    """
    events = events_of(using)
    for low, high in sorted(ranges, reverse=not cursor.goes_up):
        low = low if cursor.low is None else max(low, cursor.low)
        high = high if cursor.high is None else min(high, cursor.high - 1)
        # One end for each question: asked for both at once, SQLite reads all that lies between them.
        nearest = Min("rowid") if cursor.goes_up else Max("rowid")
        while (end := events.filter(rowid__gte=low, rowid__lte=high).aggregate(end=nearest)["end"]) is not None:
            if cursor.goes_up:
                top = min(high, end + ROWS_AT_ONCE - 1)
                low = top + 1
                yield end, top
            else:
                bottom = max(low, end - ROWS_AT_ONCE + 1)
                high = bottom - 1
                yield bottom, end


def names_in(places_: Iterable[Place]) -> list[bytes]:
    """Return the names of some places."""
    return [name_of(place.pk) for place in places_]
