"""Search on PostgreSQL: all events by the trigram indexes, or the newest few if those do not help in time."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from django.db import connections
from django.db.models import Q

from statestore.db import transactions
from statestore.db.errors import translated_errors
from statestore.errors import TooSlow
from statestore.models.events import EventQuerySet
from statestore.search import agent_sessions, facets, filters, limits
from statestore.search.cursor import Cursor
from statestore.search.facets import Facets
from statestore.search.histogram import Bar, Histogram, Times, bars_between, read_times
from statestore.search.hits import Hit, HitPage, events_of, read_hits, stop_note
from statestore.search.progress import Progress
from statestore.search.query import TEXT, TIMES, Query
from statestore.search.sessions import SessionRange
from statestore.search.times import time_text

# Filters whose columns have an index.
_INDEXED: Final = ("session", "type", "actor", "agent")
_LETTERS: Final = re.compile(r"[^\W_]+")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Reading(Generic[Answer]):
    """The answer to a question about all events, or about those up to `edge`; `reason` says why not about all."""

    answer: Answer
    edge: Hit | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PostgresEngine:
    """Answers with one SQL query over all events, within a time limit."""

    using: str

    def page(self, query: Query, cursor: Cursor, limit: int, *, whole: bool = False) -> HitPage:
        reading = self._ask(query, cursor, lambda events: read_hits(events.order_by(*cursor.order), limit + 1))
        if reading.edge is None:
            return HitPage(cursor, reading.answer)
        is_full = len(reading.answer) > limit
        notes = () if is_full else (stop_note(limits.UNINDEXED_EVENTS, reading.reason, reading.edge.timestamp),)
        return HitPage(cursor, reading.answer, reading.edge.cursor, notes=notes)

    def facets(self, query: Query) -> Facets:
        reading = self._ask(query, Cursor(), lambda events: facets.count(events.newest_first()))
        if reading.edge is None:
            return reading.answer
        return reading.answer.limited(f"back to {time_text(reading.edge.timestamp)}")

    def histogram(self, query: Query, start: int | None, end: int | None) -> Histogram:
        reading = self._ask(query, Cursor(), lambda events: read_times(events.newest_first()))
        newest = reading.answer
        if reading.edge is not None:
            return Times(newest.seconds, has_more=True).histogram(start, end)
        if not newest.has_more:
            return newest.histogram(start, end)
        oldest = self._ask(query, Cursor(backwards=True), lambda events: read_times(events.oldest_first()[:1])).answer
        bars = bars_between([*oldest.seconds, *newest.seconds], start, end)
        return Histogram([Bar(*bar, *count) for bar, count in zip(bars, self._counts(query, bars), strict=True)])

    def counts(self, query: Query, start: int | None, end: int | None) -> tuple[Facets, Histogram]:
        return self.facets(query), self.histogram(query, start, end)

    def values(self, name: str, prefix: str, limit: int) -> list[str]:
        return facets.newest_values(events_of(self.using), name, prefix, limit)

    def resolved(self, query: Query) -> Query:
        return agent_sessions.resolved(query, self.using, self._acted_in)

    def _acted_in(self, agents: Collection[str], most: int) -> Iterable[str]:
        return agent_sessions.acted_in(events_of(self.using), agents)[:most]

    def session_range(self, number: int, start: int | None, *, backwards: bool) -> SessionRange | None:
        """By the events there: the last of a session that is in the range is one of them."""
        events, end = events_of(self.using), "min" if backwards else "max"
        if start is not None:
            events = events.filter(timestamp__gte=start) if backwards else events.filter(timestamp__lte=start)
        events = events.oldest_first() if backwards else events.newest_first()
        read = events.values_list("session_id", "timestamp")[: limits.SESSION_EVENTS]
        sql, parameters = read.query.get_compiler(self.using).as_sql()
        grouped = (
            f"SELECT session_id, {end}(timestamp) AS nearest FROM ({sql}) AS near"  # noqa: S608
            f" GROUP BY session_id ORDER BY nearest {'ASC' if backwards else 'DESC'} LIMIT %s"
        )
        with translated_errors(), connections[self.using].cursor() as cursor:
            cursor.execute(grouped, [*parameters, number + 1])
            rows = cursor.fetchall()
        if len(rows) > number:
            edge = rows.pop()[1]
        else:
            edge = events.values_list("timestamp", flat=True)[limits.SESSION_EVENTS - 1 : limits.SESSION_EVENTS].first()
        return SessionRange(frozenset(session for session, _ in rows), edge)

    def index_all(self, report: Callable[[Progress], None] | None, *, rebuild: bool) -> bool:
        return True  # The database maintains its indexes.

    def lag_seconds(self) -> int:
        return 0

    def watch_indexer(self) -> None:
        pass

    def _ask(self, query: Query, cursor: Cursor, question: Callable[[EventQuerySet], Answer]) -> _Reading[Answer]:
        """Return the answer to a question about the matches beyond a cursor.

        If no index helps, or the database takes too long, it is about no more events than are read for a page.
        """
        query = self.resolved(query)
        events = filters.narrowed(events_of(self.using), query).filter(cursor.beyond)
        reason = _why_unindexed(query)
        if not reason:
            try:
                with transactions.in_time(self.using, limits.POSTGRES_SECONDS):
                    return _Reading(question(events))
            except TooSlow:
                reason = f"the database did not find them all within {limits.POSTGRES_SECONDS:.0f} s"
        edge = self._edge(query, cursor)
        if edge is None:
            return _Reading(question(events))
        return _Reading(question(events.filter(_up_to(edge, cursor))), edge, reason)

    def _edge(self, query: Query, cursor: Cursor) -> Hit | None:
        """Return the last event that is read for an answer, or None if all of them are."""
        is_filtered = any(query.values(name) for name in _INDEXED)
        kept = [term for term in query.terms if (term.name != TEXT if is_filtered else term.name in TIMES)]
        events = filters.narrowed(events_of(self.using), replace(query, terms=tuple(kept))).filter(cursor.beyond)
        return next(
            iter(read_hits(events.order_by(*cursor.order)[limits.UNINDEXED_EVENTS - 1 : limits.UNINDEXED_EVENTS])), None
        )

    def _counts(self, query: Query, bars: list[tuple[int, int]]) -> list[tuple[int, bool]]:
        """Return for each bar how many matches it has, and whether that is estimated from its oldest events.

        By the share of matches among these events, not by time: a burst says nothing about the hours after it.
        """
        events = filters.narrowed(events_of(self.using), self.resolved(query)).order_by().values_list("timestamp")
        sql, parameters = events.query.get_compiler(self.using).as_sql()
        lows, highs = [low for low, _ in bars], [high for _, high in bars]
        with translated_errors(), connections[self.using].cursor() as cursor:
            cursor.execute(_IN_BARS.format(matches=sql), [*parameters, limits.BAR_EVENTS, lows, highs])
            counts = {low: _estimate(*numbers) for low, *numbers in cursor.fetchall()}
        return [counts[low] for low in lows]


def _why_unindexed(query: Query) -> str:
    """Return why no index finds the words of a query, or nothing if one does."""
    words = query.words or query.unwanted
    if not words or any(
        len(run) >= limits.SHORTEST_WORD_CHARACTERS for word in query.words for run in _LETTERS.findall(word)
    ):
        return ""
    if all(len(word) < limits.SHORTEST_WORD_CHARACTERS for word in words):
        return "words of fewer than three characters are not indexed"
    return "words without three consecutive letters or digits are not indexed"


def _up_to(edge: Hit, cursor: Cursor) -> Q:
    """Return the condition for the events of a page up to and including an edge."""
    operator = "lt" if cursor.backwards else "gt"
    return Q(**{f"timestamp__{operator}e": edge.timestamp}) & (
        Q(**{f"timestamp__{operator}": edge.timestamp})
        | Q(timestamp=edge.timestamp, **{f"rowid__{operator}e": edge.rowid})
    )


def _estimate(matches: int, examined: int | None, events: int | None) -> tuple[int, bool]:
    if not examined or events is None:
        return matches, False
    return round(matches * events / examined), True


# For each bar: how many matches there are up to its edge, the last event that is examined; how many events there are up
# to the edge; how many in the bar. The latter two are NULL if the whole bar was examined.
_IN_BARS: Final = """
SELECT bar.low, (
    SELECT count(*) FROM ({matches}) AS matches(instant)
    WHERE instant >= bar.low AND instant < coalesce(bar.edge + 1, bar.high)
), CASE WHEN bar.edge + 1 < bar.high THEN (
    SELECT count(*) FROM events WHERE timestamp >= bar.low AND timestamp <= bar.edge
) END, CASE WHEN bar.edge + 1 < bar.high THEN (
    SELECT count(*) FROM events WHERE timestamp >= bar.low AND timestamp < bar.high
) END FROM (
    SELECT low, high, (
        SELECT timestamp FROM events WHERE timestamp >= low AND timestamp < high
        ORDER BY timestamp, rowid LIMIT 1 OFFSET %s
    ) AS edge FROM unnest(%s::bigint[], %s::bigint[]) AS given(low, high)
) AS bar
"""
