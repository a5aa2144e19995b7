"""The sessions of the newest documents, in an order that grows with neither events nor sessions."""

import sqlite3

from statestore.search import limits
from statestore.search.fts import names, ordering
from statestore.search.sessions import NewestSessions
from statestore.search.times import EXACT_BELOW


def read(index: sqlite3.Connection, number: int) -> NewestSessions | None:
    """Return about so many sessions that had events last; None if the index cannot tell up to which time."""
    newest = "SELECT session, docid FROM doc NOT INDEXED ORDER BY docid DESC LIMIT ?"
    sql = f"SELECT session, max(docid) AS last FROM ({newest}) GROUP BY session ORDER BY last DESC LIMIT ?"  # noqa: S608
    rows = index.execute(sql, (limits.SESSION_EVENTS, number + 1)).fetchall()
    if len(rows) > number:
        edge = rows.pop()[1]
    else:
        last_read = f"SELECT docid FROM ({newest}) LIMIT 1 OFFSET ?"  # noqa: S608
        found = index.execute(last_read, (limits.SESSION_EVENTS, limits.SESSION_EVENTS - 1)).fetchone()
        edge = None if found is None else found[0]
    texts = names.texts_of(index, [session for session, _ in rows])
    if edge is None:
        return NewestSessions(frozenset(texts.values()), None)
    second = ordering.second_of(edge)
    # Only such a second stands for no other time.
    return NewestSessions(frozenset(texts.values()), second) if 0 <= second < EXACT_BELOW else None
