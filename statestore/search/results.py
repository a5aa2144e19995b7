"""Answers: one page of the events that a query asks for, newest first, at any lag of the index."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import connections

from statestore import models
from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.pagination import USUAL_SIZE
from statestore.db.routers import store_alias
from statestore.search import filters
from statestore.search.filters import Cursor
from statestore.search.fts import change_log, index_file, ordering, planner, unindexed
from statestore.search.fts.coverage import Coverage, coverage, cut_among
from statestore.search.fts.index_file import CONTENT_BYTES
from statestore.search.fts.planner import Plan, Span
from statestore.search.fts.unindexed import Place
from statestore.search.postgres import engine
from statestore.search.query import Query

SHOWN_LAG_SECONDS: Final = 2
_LEAST_CHECK: Final = 60
_MOST_CHECK: Final = 500


@dataclass(frozen=True, slots=True)
class Found:
    """One page of answers. `newer` and `older` are its neighbours' cursors, None where there is none.

    `notes` say, in sentences, what the answer does not cover; `is_complete` is False where the page ends early.
    """

    rows: list[models.Event]
    newer: str | None
    older: str | None
    lag_seconds: int = 0
    notes: tuple[str, ...] = ()
    is_complete: bool = True
    cut: frozenset[str] = field(default_factory=frozenset)

    def __iter__(self) -> Iterator[models.Event]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def find(
    query: Query, *, cursor: str = "", limit: int = USUAL_SIZE, whole: bool = False, using: str | None = None
) -> Found:
    """Return one page of the events that a query asks for, newest first, ties by insertion.

    `cursor` is a neighbour page's, or `last` for the oldest events. Rows carry `excerpt` and `size`; with `whole`,
    their content and metadata too. Raises ValidationError for a cursor that was not made here.
    """
    using = using or store_alias()
    return _shown(using, query, _page(using, query, Cursor.parse(cursor), limit), limit, whole)


def find_ids(query: Query, *, cursor: str, limit: int, using: str) -> tuple[list[str], str | None]:
    """Return the ids of one page of answers, newest first, and the cursor of the older page, if there is one.

    Large events are read whole, whatever it costs.
    """
    page = _page(using, query, Cursor.parse(cursor), limit, most_large=sys.maxsize)
    places = page.places[:limit]
    return [place.pk for place in places], _neighbours(places, page, len(page.places) > limit)[1]


@dataclass(frozen=True, slots=True)
class _Page:
    """The places of a page and, where there are more, one beyond it.

    `cursor` bounds the rows that it is about; `stopped` is where looking among those ended early.
    """

    cursor: Cursor
    places: list[Place]
    stopped: Cursor | None = None
    lag_seconds: int = 0
    notes: tuple[str, ...] = ()
    cut: frozenset[str] = frozenset()


def _page(using: str, query: Query, cursor: Cursor, limit: int, *, most_large: int | None = None) -> _Page:
    if vendor.is_sqlite(connections[using]):
        return _page_by_index(using, query, cursor, limit, most_large)
    return _page_by_database(using, query, cursor, limit)


def _page_by_database(using: str, query: Query, cursor: Cursor, limit: int) -> _Page:
    read = engine.places(using, query, cursor, limit + 1)
    is_full = len(read.answer) > limit
    stopped = None if read.edge is None else read.edge.cursor
    return _Page(cursor, read.answer, stopped, notes=() if is_full or not read.note else (read.note,))


def _page_by_index(using: str, query: Query, cursor: Cursor, limit: int, most_large: int | None) -> _Page:
    covered = coverage(using)
    unread = unindexed.in_ranges(using, query, cursor, covered.unread, limit + 1)
    notes = _notes(covered, unread, cursor)
    cursor = cursor.up_to(unread.edge)
    if covered.index is None:
        page = _merged(_read(using, query, cursor, covered, unread), cursor, None, limit)
        return _Page(cursor, page, None, covered.lag_seconds, notes)
    index = covered.index
    with index_file.snapshot(index):
        plan = planner.plan(index, query)
        if plan.by_text:
            where = span(index, query, cursor)
            covered = covered.with_large(where.low, where.high, most_large)
        stream = _Stream(using, query, cursor, covered, plan, limit)
        rest = _read(using, query, cursor, covered, unread)
        places = [*stream.places(), *(place for place in rest if place.pk not in stream.seen)]
        page = _merged(places, cursor, stream.stopped, limit)
        cut = frozenset(map(change_log.pk_of, cut_among(index, unindexed.names_in(page))))
    if len(page) <= limit:
        notes += stream.notes
    return _Page(cursor, page, stream.stopped, covered.lag_seconds, (*notes, *_cut_note(covered)), cut)


def _read(using: str, query: Query, cursor: Cursor, covered: Coverage, unread: unindexed.Range) -> list[Place]:
    """Return the answers among what has to be read beside the index."""
    rest = unindexed.besides(using, query, cursor, covered)
    # What is in both is in the index at its old place: what was read counts.
    have = {place.pk for place in rest}
    return rest + [place for place in unread.found if place.pk not in have]


def _merged(places: list[Place], cursor: Cursor, stopped: Cursor | None, limit: int) -> list[Place]:
    """Return the first places of the page; none beyond the point up to which all was looked at."""
    if stopped is not None:
        end = ordering.key(stopped.timestamp, stopped.rowid or 0)
        places = [p for p in places if (p.key <= end if cursor.backwards else p.key >= end)]
    return unindexed.best(places, limit + 1, backwards=cursor.backwards)


class _Stream:
    """The answers that the index names, checked against the events themselves."""

    def __init__(self, using: str, query: Query, cursor: Cursor, covered: Coverage, plan: Plan, limit: int) -> None:
        assert covered.index is not None
        self.using, self.query, self.cursor, self.limit = using, query, cursor, limit
        self.index, self.besides = covered.index, covered.besides
        self.plan = plan
        self.seen: set[str] = set()
        self.stopped: Cursor | None = None
        self.notes: tuple[str, ...] = ()
        self.looked_at = 0
        self.last: planner.Doc | None = None

    def places(self) -> list[Place]:
        """Return enough answers for a page, or those that were found before looking became too long."""
        found: list[Place] = []
        size = max(_LEAST_CHECK, self.limit + 1)
        walk = self._walk(span(self.index, self.query, self.cursor))
        read = 0
        while True:
            names, is_over = self._take(walk, size)
            read += len(names)
            for part in unindexed.among(self.using, self.query, self.cursor, names):
                found += part
            if len(found) > self.limit or is_over:
                break
            if self.looked_at >= self.plan.most or read >= planner.MOST_CHECKED:
                self._stop()
                break
            if self.plan.is_rough and read >= planner.MOST_ROUGH:
                self.plan = planner.plan(self.index, self.query, whole=True)
                walk = self._walk(self._rest())
            size = self._needed(len(found), read)
        self.seen = {place.pk for place in found}
        return found

    def _needed(self, found: int, read: int) -> int:
        """Return how many to read next: twice what the page lacks, by the share of answers so far."""
        lacking = (self.limit + 1 - found) * 2 * read // found if found else _MOST_CHECK
        return min(max(lacking, _LEAST_CHECK), _MOST_CHECK)

    def _walk(self, where: Span) -> Iterator[tuple[bool, planner.Doc]]:
        return self.plan.walk(self.index, where, backwards=self.cursor.backwards)

    def _rest(self) -> Span:
        """Return where nothing was looked at yet."""
        assert self.last is not None
        whole, place = span(self.index, self.query, self.cursor), self.last[0]
        return Span(place + 1, whole.high) if self.cursor.backwards else Span(whole.low, place - 1)

    def _take(self, walk: Iterator[tuple[bool, planner.Doc]], size: int) -> tuple[list[bytes], bool]:
        """Return the next names, and whether there are no more."""
        names: list[bytes] = []
        for allowed, doc in walk:
            self.looked_at += 1
            self.last = doc
            if allowed and doc[1] not in self.besides:
                names.append(doc[1])
            if len(names) >= size or self.looked_at >= self.plan.most:
                return names, False
        return names, True

    def _stop(self) -> None:
        """Note how far the search has got, so that the next page goes on from there."""
        assert self.last is not None
        second = ordering.second_of(self.last[0])
        # Deleted meanwhile, its event has no place any more: then the next page begins with its second.
        edge = Cursor(timestamp=second, rowid=ordering.LOWEST if self.cursor.backwards else ordering.HIGHEST)
        stands = unindexed.places(
            unindexed.events_of(self.using).filter(pk=change_log.pk_of(self.last[1])).order_by(), 1
        )
        at = stands[0].cursor if stands else edge
        self.stopped = replace(at, low=self.cursor.low, high=self.cursor.high)
        way = "read" if self.plan.reads else "checked"
        why = " (words of fewer than three characters are not indexed)" if self.plan.reads else ""
        back = ordering.when(at.timestamp)
        self.notes = (f"Only {self.looked_at:,} events were {way} for this page{why}, back to {back}.",)


def span(index: Any, query: Query, cursor: Cursor) -> Span:
    """Return the document numbers among which a page's answers are."""
    low = ordering.LOWEST if query.after is None else ordering.first_place(query.after)
    high = ordering.HIGHEST if query.before is None else ordering.last_place(query.before - 1)
    if cursor.rowid is None:
        return Span(low, high)
    row = index.execute("SELECT docid FROM doc WHERE pk = ?", (change_log.name_of(cursor.pk),)).fetchone()
    first, last = ordering.first_place(_raw(cursor.timestamp)), ordering.last_place(_raw(cursor.timestamp))
    # Its place bounds the page only while the event is still where it was.
    exact = row[0] if row and first <= row[0] <= last else None
    if cursor.backwards:
        return Span(max(low, first if exact is None else exact), high)
    return Span(low, min(high, last if exact is None else exact))


def _raw(timestamp: Any) -> Any:
    return getattr(timestamp, "raw", timestamp)


def _notes(covered: Coverage, unread: unindexed.Range, cursor: Cursor) -> tuple[str, ...]:
    notes = []
    if covered.overflowed:
        notes.append(
            f"Very many events changed since they were indexed. {unread.read:,} events were read without the index."
        )
    elif covered.index is None:
        notes.append(f"There is no search index yet. {unread.read:,} events were read without it.")
    elif covered.built_share is not None:
        notes.append(f"The search index is being built ({covered.built_share:.0%} done).")
    if unread.edge is not None:
        where = "after" if cursor.goes_up else "before"
        notes.append(f"Events saved {where} these {unread.read:,} are on further pages.")
    if covered.lag_seconds > SHOWN_LAG_SECONDS:
        notes.append(f"The search index is {covered.lag_seconds} s behind. Newer changes were read without it.")
    return tuple(notes)


def _cut_note(covered: Coverage) -> tuple[str, ...]:
    if not covered.cut_short:
        return ()
    which = "1 event has" if covered.cut_short == 1 else f"{covered.cut_short:,} events have"
    return (f"{which} more than 1 MB. Only the first megabyte was searched.",)


def _shown(using: str, query: Query, page: _Page, limit: int, whole: bool) -> Found:
    places = page.places[:limit]
    has_more = len(page.places) > limit
    if page.cursor.backwards:
        places = places[::-1]
    events = filters.with_excerpt(unindexed.events_of(using).order_by(), query.words, whole=whole)
    with translated_errors():
        by_pk = {event.pk: event for event in events.filter(pk__in=[place.pk for place in places])} if places else {}
    rows = [by_pk[place.pk] for place in places if place.pk in by_pk]
    newer, older = _neighbours(places, page, has_more)
    is_complete = has_more or (page.stopped is None and page.cursor.portion_after is None)
    return Found(rows, newer, older, page.lag_seconds, page.notes, is_complete, page.cut)


def _neighbours(places: list[Place], page: _Page, has_more: bool) -> tuple[str | None, str | None]:
    """Return the cursors of the pages of newer and of older events; None where there are none."""
    cursor = page.cursor
    first, last = (_at(cursor, places[0]), _at(cursor, places[-1])) if places else (None, None)
    on = (first if cursor.backwards else last) if has_more else page.stopped or cursor.portion_after
    if cursor.rowid is None:
        back = cursor.portion_before
    else:
        back = (last if cursor.backwards else first) or (None if cursor.backwards else cursor)
    newer, older = (on, back) if cursor.backwards else (back, on)
    if newer is not None:
        newer = replace(newer, backwards=True)
    if older is not None:
        older = replace(older, backwards=False)
    return (None if newer is None else str(newer)), (None if older is None else str(older))


def _at(cursor: Cursor, place: Place) -> Cursor:
    """Return the cursor of a place among the rows that a page is about."""
    return replace(place.cursor, low=cursor.low, high=cursor.high)


__all__ = ["CONTENT_BYTES", "Found", "find", "span"]
