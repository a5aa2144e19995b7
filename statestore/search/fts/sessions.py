"""The sessions in which agents acted, from the index, and from the store for events that the index does not cover."""

import sqlite3
from collections.abc import Collection, Iterator
from itertools import islice

from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.search import limits
from statestore.search.agent_sessions import acted_in as recorded
from statestore.search.fts import names, planner
from statestore.search.fts.change_log import pk_of
from statestore.search.fts.coverage import Coverage
from statestore.search.fts.planner import ACTOR, ACTOR_TYPE, SESSION
from statestore.search.hits import events_of

# From one session of an agent to the next one by the index, however many events each has.
_SESSIONS = """
WITH RECURSIVE acted(session) AS (
    SELECT min(session) FROM doc INDEXED BY doc_agent WHERE actor = :actor AND actor_type = :type
    UNION ALL
    SELECT (SELECT min(d.session) FROM doc d INDEXED BY doc_agent
            WHERE d.actor = :actor AND d.actor_type = :type AND d.session > acted.session)
    FROM acted WHERE acted.session IS NOT NULL
) SELECT session FROM acted WHERE session IS NOT NULL
"""


def acted_in(using: str, covered: Coverage, agents: Collection[str], most: int) -> set[str]:
    """Return the sessions in which agents acted; at least so many if there are more."""
    sessions: set[str] = set()
    for low, high in covered.unread:
        sessions.update(_in_range(using, agents, low, high))
    with translated_errors():
        for batch in batched(list(covered.marked), limits.IDS_AT_ONCE):
            sessions.update(recorded(events_of(using).filter(pk__in=[pk_of(key) for key in batch]), agents))
    if covered.index is not None:
        numbers = list(islice(_indexed(covered.index, agents, covered.marked), most))
        for part in batched(numbers, limits.VARIABLES_AT_ONCE):
            sessions.update(names.texts_of(covered.index, part).values())
    return sessions


def _in_range(using: str, agents: Collection[str], low: int, high: int) -> Iterator[str]:
    """Return the sessions in which agents acted by events in a range of rowids, by short reads."""
    events = events_of(using).by_agents(agents).exclude(session_id="").order_by("-rowid")
    while True:
        with translated_errors():
            found = events.filter(rowid__gte=low, rowid__lte=high).values_list("rowid", "session_id")
            rows = list(found[: limits.ROWS_AT_ONCE])
        yield from {session for _, session in rows}
        if len(rows) < limits.ROWS_AT_ONCE:
            return
        high = rows[-1][0] - 1


def _indexed(index: sqlite3.Connection, agents: Collection[str], marked: frozenset[bytes]) -> Iterator[int]:
    """Return the numbers of the sessions that documents of agents name, those of `marked` events left out."""
    actors, types = names.numbers_of(index, "actor", list(agents)), names.agent_types(index)
    stale = {
        doc[SESSION]
        for part in batched(list(marked), limits.VARIABLES_AT_ONCE)
        for doc in planner.documents_of(index, part)
        if doc[ACTOR] in actors and doc[ACTOR_TYPE] in types
    }
    for actor in actors:
        for kind in types:
            for (session,) in index.execute(_SESSIONS, {"actor": actor, "type": kind}).fetchall():
                if session not in stale or _is_current(index, (actor, kind, session), marked):
                    yield session


def _is_current(index: sqlite3.Connection, group: tuple[int, int, int], marked: frozenset[bytes]) -> bool:
    """Return whether an agent has a document in a session whose event has not changed since."""
    sql = "SELECT pk FROM doc INDEXED BY doc_agent WHERE actor = ? AND actor_type = ? AND session = ?"
    return any(key not in marked for (key,) in index.execute(sql, group))
