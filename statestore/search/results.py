"""Answers to a query: one page of events, newest first, its facets and its histogram."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from statestore import models
from statestore.db import pagination
from statestore.db.errors import translated_errors
from statestore.db.pagination import USUAL_SIZE
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.models.querysets import BY_TIME
from statestore.search import facets, filters, histogram
from statestore.search.cursor import LAST_PAGE, Cursor
from statestore.search.engine import engine_for
from statestore.search.facets import Facets
from statestore.search.histogram import Histogram
from statestore.search.hits import Hit, HitPage, events_of
from statestore.search.query import Query
from statestore.search.sessions import SessionRange


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of answers. `newer` and `older` are the cursors of its neighbours, None at either end.

    `notes` say, in sentences, what the answer does not cover; `is_complete` is False if the page ends early. Of the
    events in `cut`, only the beginning is indexed.
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
    query: Query,
    *,
    cursor: str = "",
    limit: int = USUAL_SIZE,
    whole: bool = False,
    among: EventQuerySet | None = None,
    using: str | None = None,
) -> ResultPage:
    """Return one page of the events that match a query, newest first, those of one second by insertion.

    `cursor` is a neighbour page's, or `last` for the oldest events. Rows carry `excerpt` and `size`; with `whole`,
    their content and metadata too. With `among`, only these events are read: no index knows which they are. Raises
    ValidationError for an invalid cursor.
    """
    if among is not None:
        return _scanned(query, among, cursor, limit, whole=whole)
    using = using or store_alias()
    page = engine_for(using).page(query, Cursor.parse(cursor), limit)
    hits = page.hits[:limit]
    if page.cursor.backwards:
        hits.reverse()
    events = filters.with_excerpt(events_of(using).order_by(), query.words, whole=whole)
    with translated_errors():
        by_pk = {event.pk: event for event in events.filter(pk__in=[hit.pk for hit in hits])} if hits else {}
    rows = [by_pk[hit.pk] for hit in hits if hit.pk in by_pk]
    newer, older = _neighbours(page, hits, limit)
    is_complete = len(page.hits) > limit or (page.stopped_at is None and page.cursor.portion_after is None)
    return ResultPage(rows, newer, older, page.lag_seconds, page.notes, is_complete, page.cut)


def _scanned(query: Query, among: EventQuerySet, cursor: str, limit: int, *, whole: bool) -> ResultPage:
    """Return one page of those of some events that match a query, by conditions alone."""
    events = filters.with_excerpt(filters.narrowed(among, query), query.words, whole=whole)
    with translated_errors():
        if cursor == LAST_PAGE:
            rows = list(events.oldest_first()[:limit])[::-1]
            return ResultPage(rows, None, None)
        page = pagination.page(events, BY_TIME, cursor=cursor, size=limit)
    return ResultPage(page.rows, page.newer, page.older)


def find_ids(
    query: Query, *, cursor: str, limit: int, among: EventQuerySet | None = None, using: str
) -> tuple[list[str], str | None]:
    """Return the ids of one page of answers, newest first, and the cursor of the older page, if there is one.

    Large events are searched to their end, however long it takes. With `among`, only these events are read.
    """
    if among is not None:
        with translated_errors():
            events = filters.narrowed(among, query).only("timestamp", "rowid")
            found = pagination.page(events, BY_TIME, cursor=cursor, size=limit)
        return [event.pk for event in found.rows], found.older
    page = engine_for(using).page(query, Cursor.parse(cursor), limit, whole=True)
    hits = page.hits[:limit]
    return [hit.pk for hit in hits], _neighbours(page, hits, limit)[1]


def facets_of(query: Query, *, among: EventQuerySet | None = None, using: str | None = None) -> Facets:
    """Return how often each value occurs among the newest matches; with `among`, of those events alone."""
    if among is not None:
        return facets.count(filters.narrowed(among, query).newest_first())
    return engine_for(using or store_alias()).facets(query)


def histogram_of(
    query: Query,
    start: int | None = None,
    end: int | None = None,
    *,
    among: EventQuerySet | None = None,
    using: str | None = None,
) -> Histogram:
    """Return how the matches spread from `start` to `end`; by default, over the time of the query or of its matches.

    The count of a bar with very many matches is an estimate, and says so. With `among`, of those events alone.
    """
    start, end = query.after if start is None else start, query.before if end is None else end
    if among is not None:
        return histogram.read_times(filters.narrowed(among, query).newest_first()).histogram(start, end)
    return engine_for(using or store_alias()).histogram(query, start, end)


def counts_of(
    query: Query, *, among: EventQuerySet | None = None, using: str | None = None
) -> tuple[Facets, Histogram]:
    """Return facets and histogram of the matches, over the time of the query or of its matches."""
    if among is not None:
        return facets_of(query, among=among), histogram_of(query, among=among)
    return engine_for(using or store_alias()).counts(query, query.after, query.before)


def _neighbours(page: HitPage, shown: list[Hit], limit: int) -> tuple[str | None, str | None]:
    """Return the cursors of the pages of newer and of older events."""
    cursor = page.cursor
    newest, oldest = (shown[0].cursor.within(cursor), shown[-1].cursor.within(cursor)) if shown else (None, None)
    nearest, farthest = (oldest, newest) if cursor.backwards else (newest, oldest)
    following = farthest if len(page.hits) > limit else page.stopped_at or cursor.portion_after
    if cursor.rowid is None:
        preceding = cursor.portion_before
    else:
        preceding = nearest or (None if cursor.backwards else cursor)
    newer, older = (following, preceding) if cursor.backwards else (preceding, following)
    return (
        None if newer is None else str(replace(newer, backwards=True)),
        None if older is None else str(replace(older, backwards=False)),
    )


def session_range(number: int, start: int | None, *, backwards: bool, using: str) -> SessionRange | None:
    """Return about so many sessions by their last events, from the newest or a second on; None if no index can tell.

    Backwards, they are read towards the newest.
    """
    return engine_for(using).session_range(number, start, backwards=backwards)
