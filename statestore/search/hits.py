"""Hits: the events that match a query, in the order in which they are shown."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from statestore import models
from statestore.db.errors import translated_errors
from statestore.models.events import EventQuerySet
from statestore.search.cursor import Cursor
from statestore.search.times import StoredTime, time_text

SortKey = tuple[int, object, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that matches a query, and what it is sorted by."""

    sort_key: SortKey
    timestamp: int
    rowid: int
    pk: str

    @property
    def cursor(self) -> Cursor:
        """The cursor of the page that begins after this event."""
        return Cursor(False, self.timestamp, self.rowid, self.pk)


@dataclass(frozen=True, slots=True)
class HitPage:
    """What an engine found for a page: its hits and, if there are more, one beyond the page.

    `cursor` bounds the rows that the page covers; `stopped_at` is where the search among them ended early. `notes` say
    what the page does not cover. Of the events in `cut`, only the beginning is indexed.
    """

    cursor: Cursor
    hits: list[Hit]
    stopped_at: Cursor | None = None
    lag_seconds: int = 0
    notes: tuple[str, ...] = ()
    cut: frozenset[str] = frozenset()


def events_of(using: str) -> EventQuerySet:
    """Return all events of a store."""
    return models.Event.objects.using(using)


def read_hits(events: EventQuerySet, limit: int | None = None) -> list[Hit]:
    """Return some events as hits."""
    with translated_errors():
        rows = list(events.values_list("pk", "timestamp", "rowid")[:limit])
    return [Hit(sort_key(timestamp, rowid), timestamp, rowid, pk) for pk, timestamp, rowid in rows]


def first_hits(hits: Iterable[Hit], limit: int, *, backwards: bool) -> list[Hit]:
    """Return the first hits of a page: the newest, or the oldest when paging backwards."""
    pick = heapq.nsmallest if backwards else heapq.nlargest
    return pick(limit, hits, key=lambda hit: hit.sort_key)


def sort_key(timestamp: StoredTime, rowid: int) -> SortKey:
    """Return a key that sorts as SQLite's `ORDER BY timestamp, rowid`: NULL, numbers, texts, blobs."""
    raw = getattr(timestamp, "raw", timestamp)
    raw = getattr(raw, "raw", raw)
    if raw is None:
        return 0, 0, rowid
    if isinstance(raw, int | float):
        return 1, raw, rowid
    if isinstance(raw, bytes):
        return 3, raw, rowid
    return 2, str(raw).encode("utf-8", "surrogateescape"), rowid


def stop_note(count: int, reason: str, timestamp: int | None, *, verb: str = "read") -> str:
    """Return the note on a page for which not all events were searched."""
    why = f" ({reason})" if reason else ""
    return f"Only {count:,} events were {verb} for this page{why}, back to {time_text(timestamp)}."
