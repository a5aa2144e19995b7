"""Which of some words are not answered as LIKE does, by our index or by another one."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

Answer = Callable[[str], list[str]]


def words_of(contents: Iterable[str], count: int) -> list[str]:
    """Return words that occur in some texts, from the commonest to the rarest, and pieces of them."""
    common = [word for word, _ in Counter(word for text in contents for word in text.split()).most_common()]
    step = max(1, len(common) // (count * 3 // 4))
    chosen = common[::step][: count * 3 // 4]
    pieces = (word[start : start + 4] for start in (1, 2, 0) for word in common if len(word) > 5)
    return [*chosen, *list(dict.fromkeys(pieces))[: count - len(chosen)]]


def by_like(connection: sqlite3.Connection, word: str) -> list[str]:
    """Return what the orchestrator's own search answers."""
    rows = connection.execute(
        "SELECT id FROM events WHERE content LIKE ? OR event_type LIKE ? OR session_id LIKE ?"
        " ORDER BY timestamp DESC, rowid DESC", [f"%{word}%"] * 3,
    )  # fmt: skip
    return [row[0] for row in rows]


def wrong_words(connection: sqlite3.Connection, answer: Answer, count: int) -> tuple[list[str], int]:
    """Return those of some words that are answered otherwise than by LIKE, and how many were asked."""
    contents = [row[0] for row in connection.execute("SELECT content FROM events")]
    asked = words_of(contents, count)
    return [word for word in asked if _answered(answer, word) != by_like(connection, word)], len(asked)


def _answered(answer: Answer, word: str) -> list[str]:
    try:
        return answer(word)
    except sqlite3.DatabaseError as error:
        return [f"{type(error).__name__}: {error}"]


TEXTBOOK = """
CREATE VIRTUAL TABLE textbook USING fts5(content, content='events', content_rowid='rowid', tokenize='trigram');
INSERT INTO textbook (rowid, content) SELECT rowid, content FROM events;
CREATE TRIGGER textbook_ai AFTER INSERT ON events BEGIN
  INSERT INTO textbook (rowid, content) VALUES (new.rowid, new.content);
END;
CREATE TRIGGER textbook_ad AFTER DELETE ON events BEGIN
  INSERT INTO textbook (textbook, rowid, content) VALUES ('delete', old.rowid, old.content);
END;
CREATE TRIGGER textbook_au AFTER UPDATE ON events BEGIN
  INSERT INTO textbook (textbook, rowid, content) VALUES ('delete', old.rowid, old.content);
  INSERT INTO textbook (rowid, content) VALUES (new.rowid, new.content);
END;
"""


def by_textbook(connection: sqlite3.Connection) -> Answer:
    """Return how the index that textbooks recommend answers."""

    def answer(word: str) -> list[str]:
        rows = connection.execute(
            "SELECT id FROM events WHERE rowid IN (SELECT rowid FROM textbook WHERE textbook MATCH ?)"
            " ORDER BY timestamp DESC, rowid DESC", [f'"{word}"'],
        )  # fmt: skip
        return [row[0] for row in rows]

    return answer


def main(count: int) -> None:
    """Ask our search, in the environment of a site, for some words; print those that are wrong as JSON."""
    import django

    django.setup()
    from django.db import connections

    from statestore.db.routers import store_alias
    from tests.search.oracle import everything

    path = Path(str(connections[store_alias()].settings_dict["NAME"]))
    connection = sqlite3.connect(path)
    wrong, asked = wrong_words(connection, lambda word: everything(word, limit=50), count)
    print(json.dumps({"wrong": wrong, "asked": asked}))
