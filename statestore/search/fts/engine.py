"""Search in an SQLite store by an FTS5 index, exact at any lag: events that the index lacks are read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from statestore.search import agent_sessions, facets, limits
from statestore.search.cursor import Cursor
from statestore.search.facets import Facets
from statestore.search.fts import daemon, index_file, indexer, last_documents, names, planner, sessions, unindexed
from statestore.search.fts.change_log import key_of, pk_of
from statestore.search.fts.counting import MatchCounter
from statestore.search.fts.coverage import Coverage, coverage, cut_among
from statestore.search.fts.matches import PageReader
from statestore.search.fts.unindexed import RangeHits
from statestore.search.histogram import Histogram, Times, read_times
from statestore.search.hits import Hit, HitPage, events_of, first_hits, sort_key
from statestore.search.progress import Progress
from statestore.search.query import Query
from statestore.search.sessions import SessionRange


@dataclass(frozen=True, slots=True)
class FtsEngine:
    """Answers from the index, and from the store for events that the index does not cover."""

    using: str

    def page(self, query: Query, cursor: Cursor, limit: int, *, whole: bool = False) -> HitPage:
        covered = coverage(self.using)
        query = self._resolved(query, covered)
        unread = unindexed.in_ranges(self.using, query, cursor, covered.unread, limit + 1)
        notes = _notes(covered, unread, cursor)
        cursor = cursor.up_to(unread.edge)
        if covered.index is None:
            return HitPage(cursor, unread.hits, notes=notes)
        with index_file.snapshot(covered.index) as index:
            plan = planner.plan(index, query)
            if plan.is_by_text:
                covered = covered.with_large(planner.range_of(index, query, cursor), whole=whole)
            reader = PageReader(self.using, index, query, cursor, plan, covered.bypassed, limit)
            indexed = reader.read()
            bypassed = unindexed.bypassed(self.using, query, cursor, covered)
            hits = _merged(unread.hits, bypassed, indexed, cursor=cursor, stopped_at=reader.stopped_at, limit=limit)
            cut = cut_among(index, [key_of(hit.pk) for hit in hits])
        if len(hits) <= limit:
            notes += reader.notes
        notes += _cut_notes(covered)
        return HitPage(cursor, hits, reader.stopped_at, covered.lag_seconds, notes, frozenset(map(pk_of, cut)))

    def facets(self, query: Query) -> Facets:
        covered = coverage(self.using)
        query = self._resolved(query, covered)
        if covered.index is None:
            events, is_all = unindexed.last_inserted(self.using, query)
            counted = facets.count(events)
            reach = f"among the {limits.LAST_INSERTED_EVENTS:,} events saved last"
            return counted if is_all else counted.limited(reach)
        with index_file.snapshot(covered.index) as index:
            return MatchCounter.begin(self.using, query, index, covered).facets()

    def histogram(self, query: Query, start: int | None, end: int | None) -> Histogram:
        covered = coverage(self.using)
        query = self._resolved(query, covered)
        if covered.index is None:
            events, is_all = unindexed.last_inserted(self.using, query)
            times = read_times(events)
            return Times(times.seconds, times.has_more or not is_all).histogram(start, end)
        with index_file.snapshot(covered.index) as index:
            return MatchCounter.begin(self.using, query, index, covered).histogram(start, end)

    def counts(self, query: Query, start: int | None, end: int | None) -> tuple[Facets, Histogram]:
        covered = coverage(self.using)
        query = self._resolved(query, covered)
        if covered.index is None:
            return self.facets(query), self.histogram(query, start, end)
        with index_file.snapshot(covered.index) as index:
            return MatchCounter.begin(self.using, query, index, covered).counts(start, end)

    def values(self, name: str, prefix: str, limit: int) -> list[str]:
        index = coverage(self.using).index
        return [] if index is None else names.names_beginning(index, name, prefix, limit)

    def resolved(self, query: Query) -> Query:
        return self._resolved(query, coverage(self.using)) if query.names_agents else query

    def _resolved(self, query: Query, covered: Coverage) -> Query:
        return agent_sessions.resolved(query, self.using, partial(sessions.acted_in, self.using, covered))

    def session_range(self, number: int, start: int | None, *, backwards: bool) -> SessionRange | None:
        covered = coverage(self.using)
        if covered.index is None or covered.unread or len(covered.marked) > limits.WAITING_EVENTS:
            return None
        with index_file.snapshot(covered.index) as index:
            found = last_documents.read(index, number, start, backwards=backwards)
            if found is None:
                return None
            numbers, edge = found
            # Where an event waits for the indexer, its session's last event may be an earlier or a later one.
            numbers |= last_documents.sessions_of(index, covered.marked)
            ids = frozenset(names.texts_of(index, [*numbers]).values())
        if covered.marked:
            waiting = events_of(self.using).filter(pk__in=list(map(pk_of, covered.marked)))
            ids = ids.union(waiting.order_by().values_list("session_id", flat=True))
        return SessionRange(ids, edge)

    def index_all(self, report: Callable[[Progress], None] | None, *, rebuild: bool) -> bool:
        return indexer.index_all(self.using, report, rebuild=rebuild)

    def lag_seconds(self) -> int:
        return coverage(self.using).lag_seconds

    def watch_indexer(self) -> None:
        daemon.start_watching()


def _merged(*parts: list[Hit], cursor: Cursor, stopped_at: Cursor | None, limit: int) -> list[Hit]:
    """Return the first hits of a page, each event once, and none beyond the point where the search stopped."""
    hits = list({hit.pk: hit for hit in chain(*parts)}.values())
    if stopped_at is not None:
        end = sort_key(stopped_at.timestamp, stopped_at.rowid or 0)
        hits = [hit for hit in hits if (hit.sort_key <= end if cursor.backwards else hit.sort_key >= end)]
    return first_hits(hits, limit + 1, backwards=cursor.backwards)


def _notes(covered: Coverage, unread: RangeHits, cursor: Cursor) -> tuple[str, ...]:
    notes = []
    if covered.overflowed:
        read = f"{unread.rows_read:,} events were read without the index."
        notes.append(f"Very many events changed since they were indexed. {read}")
    elif covered.index is None:
        notes.append(f"There is no search index yet. {unread.rows_read:,} events were read without it.")
    elif covered.built_share is not None:
        notes.append(f"The search index is being built ({covered.built_share:.0%} done).")
    if unread.edge is not None:
        where = "after" if cursor.goes_up else "before"
        notes.append(f"Events saved {where} these {unread.rows_read:,} are on further pages.")
    if covered.lag_seconds > limits.SHOWN_LAG_SECONDS:
        notes.append(f"The search index is {covered.lag_seconds} s behind. Newer changes were read without it.")
    return tuple(notes)


def _cut_notes(covered: Coverage) -> tuple[str, ...]:
    if not covered.cut_short:
        return ()
    subject = "1 event has" if covered.cut_short == 1 else f"{covered.cut_short:,} events have"
    return (f"{subject} more than 1 MB. Only the first megabyte was searched.",)
