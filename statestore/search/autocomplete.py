"""What the search box offers for the term at the caret: names of filters, and values that exist."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore.db import vendor
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import filters
from statestore.search.fts import planner, unindexed
from statestore.search.fts.coverage import coverage
from statestore.search.fts.documents import FIELD_NUMBERS
from statestore.search.query import FIELDS, NAMES, TIMES, Term, ascii_folded, term_around, unquoted

OFFERED: Final = 10
_LATEST: Final = 5_000
# Whether somebody is an agent is seen from what they did last.
_OF_LATE: Final = 50
_INDEXED: Final = {"type": "type", "actor": "actor", "agent": "actor", "actor-type": "actor_type",
                   "session": "session", "commit": "git"}  # fmt: skip
_STORED: Final = {**filters.COLUMNS, "agent": "actor_id", "commit": "git_commit"}
_TIMES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
MEANINGS: Final = {
    "type": "events of a type", "actor": "the actor's id", "actor-type": "User, Agent or System",
    "session": "events of a session", "agent": "events by an agent", "commit": "at a git commit",
    "after": "since a time: 2h, 7d, 2026-11-21", "before": "up to a time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that could stand at the caret. `text` is the whole box with it, `caret` where writing goes on."""

    label: str
    meaning: str
    text: str
    caret: int


def complete(
    text: str, caret: int, *, among: EventQuerySet | None = None, using: str | None = None
) -> list[Suggestion]:
    """Return what could stand at the caret, at most ten things; with `among`, no values but those of these events."""
    caret = max(0, min(caret, len(text)))
    term = term_around(text, caret)
    negated = text[term.start : term.start + 1] == "-" and term.start < caret
    if term.name and term.value_at <= caret:
        typed = unquoted(text[term.value_at : caret])
        values = _values(term.name, typed, among, using or store_alias())
        offered = [(one, "", f"{Term(term.name, one, negated)} ") for one in values]
        rest = text[term.end :].lstrip()
    else:
        typed = text[term.start + negated : caret].lower()
        sign = "-" if negated else ""
        offered = [(f"{one}:", MEANINGS[one], f"{sign}{one}:") for one in NAMES if one.startswith(typed)]
        # The value of a name that is being written anew stays.
        rest = text[term.value_at if term.name else term.end :]
    return [
        Suggestion(label, meaning, text[: term.start] + new + rest, term.start + len(new))
        for label, meaning, new in offered[:OFFERED]
    ]


def _values(name: str, prefix: str, among: EventQuerySet | None, using: str) -> list[str]:
    if name in TIMES:
        return [one for one in _TIMES if one.startswith(prefix)]
    if among is not None or not vendor.is_sqlite(connections[using]):
        return _latest(name, prefix, unindexed.events_of(using) if among is None else among)
    index = coverage(using).index
    return [] if index is None else _indexed(index, name, prefix)


def _indexed(index: sqlite3.Connection, name: str, prefix: str) -> list[str]:
    """Return values that begin with a text: as it is written, then in either case of ASCII, then those that have it."""
    column = _INDEXED[name]
    known = " AND git IS NOT NULL" if column == "git" else ""
    exists = f"EXISTS (SELECT 1 FROM doc WHERE {column} = name.id{known})"  # noqa: S608
    if name == "agent":
        kinds = ", ".join(map(str, planner.agents(index))) or "NULL"
        of_late = f"SELECT actor_type FROM doc WHERE actor = name.id ORDER BY docid DESC LIMIT {_OF_LATE}"  # noqa: S608
        exists = f"EXISTS (SELECT 1 FROM ({of_late}) WHERE actor_type IN ({kinds}))"  # noqa: S608
    sql = f"SELECT text FROM name WHERE field = ? AND {{}} AND {exists} ORDER BY text LIMIT ?"  # noqa: S608
    like = re.sub(r"([%_\\])", r"\\\1", prefix)
    ways: list[tuple[str, list[Any]]] = [("text >= ? AND text < ?", [prefix, prefix + "\U0010ffff"])]
    if prefix:
        ways += [("text LIKE ? ESCAPE '\\'", [f"{like}%"]), ("text LIKE ? ESCAPE '\\'", [f"_%{like}%"])]
    found: dict[str, None] = {}
    for condition, parameters in ways:
        if len(found) < OFFERED:
            rows = index.execute(sql.format(condition), [FIELD_NUMBERS[column], *parameters, OFFERED])
            found.update(dict.fromkeys(row[0] for row in rows))
    return list(found)[:OFFERED]


def _latest(name: str, prefix: str, events: EventQuerySet) -> list[str]:
    """Return the values that the newest of some events have."""
    if name == "agent":
        events = events.filter(actor_type="Agent")
    rows = events.order_by(*filters.ORDER).values_list(_STORED[name], flat=True)[:_LATEST]
    begin = ascii_folded(prefix)
    return sorted({str(one) for one in rows if one is not None and ascii_folded(str(one)).startswith(begin)})[:OFFERED]


__all__ = ["FIELDS", "MEANINGS", "Suggestion", "complete"]
