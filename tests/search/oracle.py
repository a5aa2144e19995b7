"""What the orchestrator's own search answers: LIKE over all rows, sorted by time and insertion."""

from collections.abc import Iterable
from typing import Any

from django.db import connections

from statestore import search
from statestore.db.routers import store_alias
from statestore.search.query import ascii_folded


def like(word: str) -> list[str]:
    """Return the ids of the events in which a word occurs, newest first."""
    connection = connections[store_alias()]
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            return _folded(cursor, word)
        pattern = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        cursor.execute(
            "SELECT id FROM events WHERE content LIKE %s ESCAPE '\\' OR event_type LIKE %s ESCAPE '\\'"
            " OR session_id LIKE %s ESCAPE '\\' ORDER BY timestamp DESC, rowid DESC",
            [pattern] * 3,
        )
        return [_text(row[0]) for row in cursor.fetchall()]


def _folded(cursor: Any, word: str) -> list[str]:
    cursor.execute("SELECT id, content, event_type, session_id FROM events ORDER BY timestamp DESC, rowid DESC")
    return [row[0] for row in cursor.fetchall() if any(ascii_folded(word) in ascii_folded(text) for text in row[1:])]


def _text(pk: Any) -> str:
    return pk.decode("utf-8", "surrogateescape") if isinstance(pk, bytes) else str(pk)


def everything(text: str, *, limit: int = 3, backwards: bool = False) -> list[str]:
    """Return the ids of all pages of an answer, read one after the other."""
    query, cursor = search.parse(text), search.LAST_PAGE if backwards else ""
    answer: list[str] = []
    for _ in range(1000):
        page = search.find(query, cursor=cursor, limit=limit)
        ids = [str(event.pk) for event in page]
        answer = [*ids, *answer] if backwards else [*answer, *ids]
        following = page.newer if backwards else page.older
        if following is None:
            return answer
        cursor = following
    raise AssertionError("the pages never end")


def wrong(words: Iterable[str]) -> list[str]:
    """Return the words whose answer differs from the orchestrator's."""
    return [word for word in words if everything(str(search.Term("text", word)), limit=50) != like(word)]
