"""Reading events that the index does not cover: those that changed since, and all of them if there is no index."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Max, Min

from statestore.db.batching import batched
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.cursor import Cursor
from statestore.search.filters import narrowed
from statestore.search.fts.change_log import pk_of
from statestore.search.fts.coverage import Coverage
from statestore.search.hits import Hit, events_of, first_hits, read_hits
from statestore.search.query import Query


def among(
    using: str, query: Query, cursor: Cursor, keys: Sequence[bytes], *, at_once: int = limits.IDS_AT_ONCE
) -> Iterator[Hit]:
    """Return those of some events that match a query beyond a cursor, read portion by portion."""
    for batch in batched(keys, at_once):
        pks = [pk_of(key) for key in batch]
        matches = narrowed(events_of(using).filter(pk__in=pks), query).filter(cursor.beyond).order_by()
        yield from (hit for hit in read_hits(matches) if cursor.holds(hit.rowid))


def bypassed(using: str, query: Query, cursor: Cursor, covered: Coverage) -> list[Hit]:
    """Return the matches among the events that changed since they were indexed, or are not indexed whole."""
    large = [key for key in covered.large if key not in covered.marked]
    return [
        *among(using, query, cursor, list(covered.marked)),
        *among(using, query, cursor, large, at_once=limits.LARGE_EVENTS_AT_ONCE),
    ]


@dataclass(frozen=True, slots=True)
class RangeHits:
    """The matches in ranges of rowids, and how many rows were read.

    If not all rows were read, `edge` is the last rowid that was, or, going up, the first that was not.
    """

    hits: list[Hit]
    rows_read: int = 0
    edge: int | None = None


def in_ranges(using: str, query: Query, cursor: Cursor, ranges: Iterable[tuple[int, int]], limit: int) -> RangeHits:
    """Return the matches in some ranges of rowids, by short reads, those inserted last first or going up."""
    hits: list[Hit] = []
    rows_read = 0
    # Rows may have been inserted into the portion since its first page.
    most = limits.LAST_INSERTED_EVENTS * (2 if cursor.is_bounded else 1)
    for low, high in _portions(using, cursor, ranges):
        if rows_read >= most:
            return RangeHits(hits, rows_read, low if cursor.goes_up else high + 1)
        rows = narrowed(events_of(using).filter(rowid__gte=low, rowid__lte=high), query)
        portion = read_hits(rows.filter(cursor.beyond).order_by(*cursor.order), limit)
        hits = first_hits([*hits, *portion], limit, backwards=cursor.backwards)
        rows_read += high - low + 1
    return RangeHits(hits, rows_read)


def _portions(using: str, cursor: Cursor, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return ranges of rowids, each small enough for one read, that together hold all rows of some ranges.

    Gaps between rowids are skipped, since an event may have any rowid.
    """
    events = events_of(using)
    for low, high in sorted(ranges, reverse=not cursor.goes_up):
        low = low if cursor.low is None else max(low, cursor.low)
        high = high if cursor.high is None else min(high, cursor.high - 1)
        # One end at a time: asked for both at once, SQLite reads all rows between them.
        nearest = Min("rowid") if cursor.goes_up else Max("rowid")
        while (end := events.filter(rowid__gte=low, rowid__lte=high).aggregate(end=nearest)["end"]) is not None:
            if cursor.goes_up:
                top = min(high, end + limits.ROWS_AT_ONCE - 1)
                low = top + 1
                yield end, top
            else:
                bottom = max(low, end - limits.ROWS_AT_ONCE + 1)
                high = bottom - 1
                yield bottom, end


def last_inserted(using: str, query: Query) -> tuple[EventQuerySet, bool]:
    """Return the matches among the events that were inserted last, and whether those are all events."""
    events = events_of(using)
    above = (events.aggregate(last=Max("rowid"))["last"] or 0) - limits.LAST_INSERTED_EVENTS
    is_all = not events.filter(rowid__lte=above).exists()
    return narrowed(events.filter(rowid__gt=above), query).order_by("-rowid"), is_all
