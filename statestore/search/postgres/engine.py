"""PostgreSQL's own way to an answer: all events by its indexes where they help in time, else the newest few read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db import connections
from django.db.models import Q

from statestore.db import transactions
from statestore.db.errors import translated_errors
from statestore.errors import TooSlow
from statestore.models.events import EventQuerySet
from statestore.search import filters
from statestore.search.filters import Cursor
from statestore.search.fts import ordering, planner, unindexed
from statestore.search.fts.unindexed import Place
from statestore.search.query import TEXT, TIMES, Query

# A question that takes longer is given up for one about fewer events.
SECONDS: Final = 5.0
# So many of a bar's events are looked at for its height.
MOST_IN_BAR: Final = 500
# Filters whose columns have an index.
_INDEXED: Final = ("session", "type", "actor", "agent")
_LETTERS: Final = re.compile(r"[^\W_]+")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Read:
    """What was asked for, of all events or of those that were read: `edge` is the last one of these, or None."""

    answer: Any
    edge: Place | None = None
    note: str = ""


def places(using: str, query: Query, cursor: Cursor, limit: int) -> Read:
    """Return the first places of a page."""
    way = _way(cursor)
    return ask(using, query, cursor, lambda events: unindexed.places(events.order_by(*way), limit))


def ask(using: str, query: Query, cursor: Cursor, question: Callable[[EventQuerySet], Answer]) -> Read:
    """Return the answer to a question about the events that a query asks for, beyond a cursor.

    Where no index helps, or the database takes too long, it is about no more of them than are read for a page.
    """
    events = filters.narrowed(unindexed.events_of(using), query).filter(cursor.beyond)
    why = ""
    if helps(query):
        try:
            with transactions.in_time(using, SECONDS):
                return Read(question(events))
        except TooSlow:
            why = f"the database needed more than {SECONDS:.0f} s"
    edge = _edge(using, query, cursor)
    if edge is None:
        return Read(question(events))
    why = why or _why(query)
    back = ordering.when(edge.timestamp)
    note = f"Only {planner.MOST_READ:,} events were read for this page ({why}), back to {back}."
    return Read(question(events.filter(_up_to(edge, cursor))), edge, note)


def helps(query: Query) -> bool:
    """Return whether indexes find what a query asks for: trigrams are of three letters or digits in a row."""
    if not query.words and not query.unwanted:
        return True
    return any(len(run) >= planner.SHORTEST_WORD for word in query.words for run in _LETTERS.findall(word))


def _why(query: Query) -> str:
    if all(len(word) < planner.SHORTEST_WORD for word in query.words or query.unwanted):
        return "words of fewer than three characters are not indexed"
    return "words without three consecutive letters or digits are not indexed"


def _edge(using: str, query: Query, cursor: Cursor) -> Place | None:
    """Return the last event that is read for an answer; None where all of them are."""
    is_filtered = any(query.values(name) for name in _INDEXED)
    kept = [term for term in query.terms if (term.name != TEXT if is_filtered else term.name in TIMES)]
    events = filters.narrowed(unindexed.events_of(using), Query(tuple(kept))).filter(cursor.beyond)
    last = planner.MOST_READ - 1
    with translated_errors():
        found = list(events.order_by(*_way(cursor)).values_list("pk", "timestamp", "rowid")[last : last + 1])
    return next((Place(ordering.key(at, rowid), at, rowid, pk) for pk, at, rowid in found), None)


def _up_to(edge: Place, cursor: Cursor) -> Q:
    """Return the condition for the events on the way of a page up to an edge, which is one of them."""
    way = "lt" if cursor.backwards else "gt"
    return Q(**{f"timestamp__{way}e": edge.timestamp}) & (
        Q(**{f"timestamp__{way}": edge.timestamp}) | Q(timestamp=edge.timestamp, **{f"rowid__{way}e": edge.rowid})
    )


def _way(cursor: Cursor) -> tuple[str, str]:
    return ("timestamp", "rowid") if cursor.backwards else ("-timestamp", "-rowid")


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


def counts(using: str, query: Query, bars: list[tuple[int, int]]) -> list[tuple[int, bool]]:
    """Return for each bar how many matches are in it, and whether that is an estimate from the oldest events in it.

    By their share of these, not of the time: a burst of work says nothing about the hours after it.
    """
    events = filters.narrowed(unindexed.events_of(using), query).order_by().values_list("timestamp")
    sql, parameters = events.query.get_compiler(using).as_sql()
    sql = _IN_BARS.format(matches=sql)
    lows, highs = [low for low, _ in bars], [high for _, high in bars]
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(sql, [*parameters, MOST_IN_BAR, lows, highs])
        found = {low: counted for low, *counted in cursor.fetchall()}
    return [_count(*found[low]) for low, _ in bars]


def _count(number: int, seen: int | None, there: int | None) -> tuple[int, bool]:
    if not seen or there is None:
        return number, False
    return round(number * there / seen), True
