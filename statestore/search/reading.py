"""Reading events that the index does not cover: those that changed since, and all of them where there is no index."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Max, Min

from statestore import dialect, models
from statestore.querysets import EventQuerySet
from statestore.search import order
from statestore.search.clauses import Cursor, narrowed
from statestore.search.language import Query
from statestore.search.marks import name_of, pk_of

ROWS_AT_ONCE: Final = 10_000
NAMES_AT_ONCE: Final = 500
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
    with dialect.translated_errors():
        rows = list(events.values_list("pk", "timestamp", "rowid")[:limit])
    return [Place(order.key(at, rowid), at, rowid, pk) for pk, at, rowid in rows]


def among(using: str, query: Query, cursor: Cursor, names: Sequence[bytes]) -> Iterator[list[Place]]:
    """Return those of some events that answer a query beyond a cursor, portion by portion."""
    for start in range(0, len(names), NAMES_AT_ONCE):
        pks = [pk_of(name) for name in names[start : start + NAMES_AT_ONCE]]
        yield places(narrowed(events_of(using).filter(pk__in=pks), query).filter(cursor.beyond).order_by())


def best(found: Iterable[Place], limit: int, *, backwards: bool) -> list[Place]:
    """Return the first few in the order of the page: newest first, or oldest first when going backwards."""
    pick = heapq.nsmallest if backwards else heapq.nlargest
    return pick(limit, found, key=lambda place: place.key)


@dataclass(frozen=True, slots=True)
class Range:
    """What was found in a range of rowids, and how many of its rows there was no time to read."""

    found: list[Place]
    read: int
    unread: int


def in_ranges(using: str, query: Query, cursor: Cursor, ranges: Iterable[tuple[int, int]], limit: int) -> Range:
    """Return the answers among the events of some ranges, those inserted last first, by short reads."""
    found: list[Place] = []
    read, unread = 0, 0
    way = ("timestamp", "rowid") if cursor.backwards else ("-timestamp", "-rowid")
    for low, high in ranges:
        ends = events_of(using).filter(rowid__gte=low, rowid__lte=high).aggregate(low=Min("rowid"), high=Max("rowid"))
        if ends["low"] is None:
            continue
        top = ends["high"]
        while top >= ends["low"]:
            bottom = max(ends["low"], top - ROWS_AT_ONCE + 1)
            if read >= MOST_ROWS:
                unread += top - ends["low"] + 1
                break
            rows = narrowed(events_of(using).filter(rowid__gte=bottom, rowid__lte=top), query)
            found = best([*found, *places(rows.filter(cursor.beyond).order_by(*way), limit)], limit,
                         backwards=cursor.backwards)  # fmt: skip
            read += top - bottom + 1
            top = bottom - 1
    return Range(found, read, unread)


def names_in(places_: Iterable[Place]) -> list[bytes]:
    """Return the names of some places."""
    return [name_of(place.pk) for place in places_]
