"""Answers: one page of the events that a query asks for, newest first, at any lag of the index."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import connections

from statestore import dialect, models
from statestore.paging import USUAL_SIZE
from statestore.routers import store_alias
from statestore.search import candidates, clauses, file, marks, order, reading
from statestore.search.candidates import Span
from statestore.search.clauses import Cursor
from statestore.search.file import CONTENT_BYTES
from statestore.search.language import Query
from statestore.search.reading import Place
from statestore.search.state import Coverage, coverage, cut_among

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
    place = Cursor.parse(cursor)
    if dialect.is_sqlite(connections[using]):
        page = _page_by_index(using, query, place, limit)
    else:
        page = _page_by_database(using, query, place, limit)
    return _shown(using, query, place, page, limit, whole)


@dataclass(frozen=True, slots=True)
class _Page:
    """The places of a page and, where there are more, one beyond it; `stopped` is where looking ended early."""

    places: list[Place]
    stopped: Cursor | None = None
    lag_seconds: int = 0
    notes: tuple[str, ...] = ()
    cut: frozenset[str] = frozenset()


def _page_by_database(using: str, query: Query, cursor: Cursor, limit: int) -> _Page:
    way = ("timestamp", "rowid") if cursor.backwards else clauses.ORDER
    events = clauses.narrowed(reading.events_of(using), query).filter(cursor.beyond).order_by(*way)
    return _Page(reading.places(events, limit + 1))


def _page_by_index(using: str, query: Query, cursor: Cursor, limit: int) -> _Page:
    covered = coverage(using)
    rest = [place for part in reading.among(using, query, cursor, list(covered.marked)) for place in part]
    unread = reading.in_ranges(using, query, cursor, covered.unread, limit + 1)
    notes = _notes(covered, unread)
    # What is in both is in the index at its old place: what was read counts.
    have = {place.pk for place in rest}
    rest += [place for place in unread.found if place.pk not in have]
    stopped = None
    cut: frozenset[str] = frozenset()
    if covered.index is not None:
        with file.snapshot(covered.index):
            stream = _Stream(using, query, cursor, covered, limit)
            places = [*stream.places(), *(place for place in rest if place.pk not in stream.seen)]
            stopped, notes = stream.stopped, (*notes, *stream.notes)
            page = _merged(places, cursor, stopped, limit)
            cut = frozenset(map(marks.pk_of, cut_among(covered.index, reading.names_in(page))))
    else:
        page = _merged(rest, cursor, None, limit)
    return _Page(page, stopped, covered.lag_seconds, notes, cut)


def _merged(places: list[Place], cursor: Cursor, stopped: Cursor | None, limit: int) -> list[Place]:
    """Return the first places of the page; none beyond the point up to which all was looked at."""
    if stopped is not None:
        end = order.key(stopped.timestamp, stopped.rowid or 0)
        places = [p for p in places if (p.key <= end if cursor.backwards else p.key >= end)]
    return reading.best(places, limit + 1, backwards=cursor.backwards)


class _Stream:
    """The answers that the index names, checked against the events themselves."""

    def __init__(self, using: str, query: Query, cursor: Cursor, covered: Coverage, limit: int) -> None:
        assert covered.index is not None
        self.using, self.query, self.cursor, self.limit = using, query, cursor, limit
        self.index, self.marked = covered.index, covered.marked
        self.plan = candidates.plan(self.index, query)
        self.seen: set[str] = set()
        self.stopped: Cursor | None = None
        self.notes: tuple[str, ...] = ()
        self.looked_at = 0
        self.last: candidates.Doc | None = None

    def places(self) -> list[Place]:
        """Return enough answers for a page, or those that were found before looking became too long."""
        found: list[Place] = []
        size = max(_LEAST_CHECK, self.limit + 1)
        walk = self._walk(span(self.index, self.query, self.cursor))
        read = 0
        while True:
            names, is_over = self._take(walk, size)
            read += len(names)
            for part in reading.among(self.using, self.query, self.cursor, names):
                found += part
            if len(found) > self.limit or is_over:
                break
            if self.looked_at >= self.plan.most or read >= candidates.MOST_CHECKED:
                self._stop()
                break
            if self.plan.is_rough and read >= candidates.MOST_ROUGH:
                self.plan = candidates.plan(self.index, self.query, whole=True)
                walk = self._walk(self._rest())
            size = self._needed(len(found), read)
        self.seen = {place.pk for place in found}
        return found

    def _needed(self, found: int, read: int) -> int:
        """Return how many to read next: twice what the page lacks, by the share of answers so far."""
        lacking = (self.limit + 1 - found) * 2 * read // found if found else _MOST_CHECK
        return min(max(lacking, _LEAST_CHECK), _MOST_CHECK)

    def _walk(self, where: Span) -> Iterator[tuple[bool, candidates.Doc]]:
        return self.plan.walk(self.index, where, backwards=self.cursor.backwards)

    def _rest(self) -> Span:
        """Return where nothing was looked at yet."""
        assert self.last is not None
        whole, place = span(self.index, self.query, self.cursor), self.last[0]
        return Span(place + 1, whole.high) if self.cursor.backwards else Span(whole.low, place - 1)

    def _take(self, walk: Iterator[tuple[bool, candidates.Doc]], size: int) -> tuple[list[bytes], bool]:
        """Return the next names, and whether there are no more."""
        names: list[bytes] = []
        for allowed, doc in walk:
            self.looked_at += 1
            self.last = doc
            if allowed and doc[1] not in self.marked:
                names.append(doc[1])
            if len(names) >= size or self.looked_at >= self.plan.most:
                return names, False
        return names, True

    def _stop(self) -> None:
        """Note how far the search has got, so that the next page goes on from there."""
        assert self.last is not None
        # Deleted meanwhile, its event has no place any more: then the page goes on to the end of its second.
        for place in reading.places(reading.events_of(self.using).filter(pk=marks.pk_of(self.last[1])).order_by(), 1):
            self.stopped = place.cursor
            way = "read" if self.plan.reads else "looked at"
            why = " (words of fewer than three characters are in no index)" if self.plan.reads else ""
            self.notes = (f"Only {self.looked_at:,} events were {way} for this page{why}, back to {{stopped}}.",)


def span(index: Any, query: Query, cursor: Cursor) -> Span:
    """Return the document numbers among which a page's answers are."""
    low = order.LOWEST if query.after is None else order.first_place(query.after)
    high = order.HIGHEST if query.before is None else order.last_place(query.before - 1)
    if cursor.rowid is None:
        return Span(low, high)
    row = index.execute("SELECT docid FROM doc WHERE pk = ?", (marks.name_of(cursor.pk),)).fetchone()
    first, last = order.first_place(_raw(cursor.timestamp)), order.last_place(_raw(cursor.timestamp))
    # Its place bounds the page only while the event is still where it was.
    exact = row[0] if row and first <= row[0] <= last else None
    if cursor.backwards:
        return Span(max(low, first if exact is None else exact), high)
    return Span(low, min(high, last if exact is None else exact))


def _raw(timestamp: Any) -> Any:
    return getattr(timestamp, "raw", timestamp)


def _notes(covered: Coverage, unread: reading.Range) -> tuple[str, ...]:
    notes = []
    if covered.index is None:
        notes.append(f"There is no search index yet: {unread.read:,} events were read instead.")
    elif covered.built_share is not None:
        notes.append(f"The search index is being built, {covered.built_share:.0%} so far.")
    if unread.unread:
        notes.append(f"The {unread.unread:,} events that were saved first were not searched.")
    if covered.overflowed:
        notes.append("Very many events changed since they were indexed; not all of them were searched.")
    if covered.lag_seconds > SHOWN_LAG_SECONDS:
        notes.append(f"The search index is {covered.lag_seconds} s behind; what changed since was read.")
    return tuple(notes)


def _shown(using: str, query: Query, cursor: Cursor, page: _Page, limit: int, whole: bool) -> Found:
    places = page.places[:limit]
    has_more = len(page.places) > limit
    if cursor.backwards:
        places = places[::-1]
    events = clauses.with_excerpt(reading.events_of(using).order_by(), query.words, whole=whole)
    with dialect.translated_errors():
        by_pk = {event.pk: event for event in events.filter(pk__in=[place.pk for place in places])} if places else {}
    rows = [by_pk[place.pk] for place in places if place.pk in by_pk]
    newer, older = _neighbours(places, cursor, page.stopped, has_more)
    notes = tuple(
        note.replace("{stopped}", order.when(page.stopped.timestamp) if page.stopped else "") for note in page.notes
    )
    is_complete = page.stopped is None or has_more
    return Found(
        rows, newer, older, page.lag_seconds, notes if not is_complete or page.stopped is None else (), is_complete,
        page.cut,
    )  # fmt: skip


def _neighbours(
    places: list[Place], cursor: Cursor, stopped: Cursor | None, has_more: bool
) -> tuple[str | None, str | None]:
    first, last = (places[0].cursor, places[-1].cursor) if places else (None, None)
    beyond = stopped if stopped is not None and not has_more else None
    if cursor.backwards:
        on = beyond or (first if has_more else None)
        newer = str(replace(on, backwards=True)) if on else None
        is_end = cursor.rowid is None
        return newer, str(last) if last and not is_end else None
    on = beyond or (last if has_more else None)
    back = first if cursor.rowid is not None else None
    if cursor.rowid is not None and back is None:
        back = cursor
    return str(replace(back, backwards=True)) if back else None, str(on) if on else None


__all__ = ["CONTENT_BYTES", "Found", "find", "span"]
