"""The last document of each session: sessions with neighbouring last events are found without a look at any other."""

import sqlite3
from collections.abc import Collection
from typing import Final, TypeAlias

from statestore.search.fts import ordering
from statestore.search.times import EXACT_BELOW

# Sessions by their numbers in the index, and a second.
SessionNumbers: TypeAlias = tuple[frozenset[int], int | None]
# From this number on, documents of several times share one.
_INEXACT: Final = ordering.first_docid(EXACT_BELOW)

CREATE: Final = (
    "CREATE TABLE last_doc (session INTEGER PRIMARY KEY, docid INTEGER NOT NULL UNIQUE)",
    "CREATE TRIGGER session_went_on AFTER INSERT ON doc BEGIN INSERT INTO last_doc (session, docid)"
    " VALUES (NEW.session, NEW.docid) ON CONFLICT (session) DO UPDATE SET docid = excluded.docid"
    " WHERE excluded.docid > docid; END",
    "CREATE TRIGGER session_lost_its_last AFTER DELETE ON doc"
    " WHEN OLD.docid = (SELECT docid FROM last_doc WHERE session = OLD.session) BEGIN"
    " DELETE FROM last_doc WHERE session = OLD.session;"
    " INSERT INTO last_doc (session, docid) SELECT session, docid FROM doc WHERE session = OLD.session"
    " ORDER BY docid DESC LIMIT 1; END",
)
# For an index that has documents already.
FILL: Final = "INSERT INTO last_doc (session, docid) SELECT session, max(docid) FROM doc GROUP BY session"


def read(index: sqlite3.Connection, number: int, start: int | None, *, backwards: bool) -> SessionNumbers | None:
    """Return the sessions of so many last documents, from the newest or a second on, and the next one's second.

    Backwards, they are read towards the newest. Sessions whose last document has a number for a time of its kind, but
    not for that very time, are always among them; None if these are too many.
    """
    sql = "SELECT session FROM last_doc WHERE docid < 0 OR docid >= ? LIMIT ?"
    inexact = index.execute(sql, (_INEXACT, number + 1)).fetchall()
    if len(inexact) > number:
        return None
    low, high, order = 0, _INEXACT - 1, "ASC" if backwards else "DESC"
    if start is not None and backwards:
        low = max(low, ordering.first_docid(start))
    elif start is not None:
        high = min(high, ordering.last_docid(start))
    sql = f"SELECT session, docid FROM last_doc WHERE docid BETWEEN ? AND ? ORDER BY docid {order} LIMIT ?"  # noqa: S608
    rows = index.execute(sql, (low, high, number + 1)).fetchall()
    edge = ordering.second_of(rows.pop()[1]) if len(rows) > number else None
    return frozenset(row[0] for row in (*rows, *inexact)), edge


def sessions_of(index: sqlite3.Connection, keys: Collection[bytes]) -> frozenset[int]:
    """Return the sessions that events had when they were indexed."""
    sql = f"SELECT session FROM doc WHERE pk IN ({', '.join('?' * len(keys))})"  # noqa: S608
    return frozenset(session for (session,) in index.execute(sql, [*keys]))
