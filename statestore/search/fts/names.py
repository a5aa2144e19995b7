"""The names table: types, actors, sessions and commits, which documents hold as numbers."""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from statestore.db.fields import text_bytes
from statestore.search import limits
from statestore.search.fts.index_file import DOC_COLUMNS
from statestore.text.natural_order import natural

_FIELD: Final = {column: number for number, column in enumerate(DOC_COLUMNS)}
COLUMNS: Final = {"type": "type", "actor": "actor", "agent": "actor", "actor-type": "actor_type",
                  "session": "session", "commit": "git"}  # fmt: skip


def numbers_of(index: sqlite3.Connection, column: str, texts: Sequence[str]) -> frozenset[int]:
    """Return the numbers of those of some names that exist."""
    places = ", ".join(["CAST(? AS TEXT)"] * len(texts))
    sql = f"SELECT id FROM name WHERE field = ? AND text IN ({places})"  # noqa: S608
    return frozenset(number for (number,) in index.execute(sql, (_FIELD[column], *map(text_bytes, texts))))


def agent_types(index: sqlite3.Connection) -> frozenset[int]:
    """Return the number of the actor type of agents, if there are any."""
    return numbers_of(index, "actor_type", ("Agent",))


def commits_beginning(index: sqlite3.Connection, prefixes: Iterable[str]) -> frozenset[int] | None:
    """Return the numbers of the commits that begin with one of some texts, or None if they are too many."""
    sql = "SELECT id FROM name WHERE field = ? AND text >= CAST(? AS TEXT) AND text < CAST(? AS TEXT) LIMIT ?"
    numbers: set[int] = set()
    for prefix in map(text_bytes, prefixes):
        numbers.update(row[0] for row in index.execute(sql, (_FIELD["git"], prefix, prefix + b"\xff", limits.COMMITS)))
    return frozenset(numbers) if len(numbers) < limits.COMMITS else None


def texts_of(index: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Return {number: name}."""
    sql = f"SELECT id, text FROM name WHERE id IN ({', '.join('?' * len(numbers))})"  # noqa: S608
    return dict(index.execute(sql, numbers).fetchall())


def names_beginning(index: sqlite3.Connection, name: str, prefix: str, limit: int) -> list[str]:
    """Return values of a filter that begin with a prefix, then in the other case, then those that contain it.

    Of each kind, those are first whose numbers are least, among the first ORDERED_NAMES.
    """
    column = COLUMNS[name]
    known = " AND git IS NOT NULL" if column == "git" else ""
    exists = f"EXISTS (SELECT 1 FROM doc WHERE {column} = name.id{known})"  # noqa: S608
    if name == "agent":
        types = ", ".join(map(str, agent_types(index))) or "NULL"
        of_late = f"SELECT actor_type FROM doc WHERE actor = name.id ORDER BY docid DESC LIMIT {limits.ACTOR_EVENTS}"  # noqa: S608
        exists = f"EXISTS (SELECT 1 FROM ({of_late}) WHERE actor_type IN ({types}))"  # noqa: S608
    sql = f"SELECT text FROM name WHERE field = ? AND {{}} AND {exists} ORDER BY text LIMIT ?"  # noqa: S608
    like = re.sub(r"([%_\\])", r"\\\1", prefix)
    conditions: list[tuple[str, list[str]]] = [("text >= ? AND text < ?", [prefix, prefix + "\U0010ffff"])]
    if prefix:
        conditions += [("text LIKE ? ESCAPE '\\'", [f"{like}%"]), ("text LIKE ? ESCAPE '\\'", [f"_%{like}%"])]
    values: dict[str, None] = {}
    for condition, parameters in conditions:
        if len(values) < limit:
            rows = index.execute(sql.format(condition), [_FIELD[column], *parameters, limits.ORDERED_NAMES])
            values.update(dict.fromkeys(sorted((row[0] for row in rows), key=natural)))
    return list(values)[:limit]
