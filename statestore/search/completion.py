"""What the search box offers for the term at the caret: names of filters, and values that exist."""

from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore import dialect
from statestore.querysets import EventQuerySet
from statestore.routers import store_alias
from statestore.search import clauses, reading
from statestore.search.documents import FIELD_NUMBERS
from statestore.search.language import FIELDS, NAMES, TIMES, Term
from statestore.search.state import coverage

OFFERED: Final = 10
_LATEST: Final = 5_000
_INDEXED: Final = {"type": "type", "actor": "actor", "agent": "actor", "actor-type": "actor_type",
                   "session": "session", "commit": "git"}  # fmt: skip
_STORED: Final = {**clauses.COLUMNS, "agent": "actor_id", "commit": "git_commit"}
_TIMES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
MEANINGS: Final = {
    "type": "events of a type", "actor": "who said or did it", "actor-type": "User, Agent or System",
    "session": "events of a session", "agent": "what an agent said or did", "commit": "at a git commit",
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
    start = max((text.rfind(space, 0, caret) for space in " \t\n"), default=-1) + 1
    typed = text[start:caret]
    negated = typed.startswith("-")
    name, colon, value = typed.removeprefix("-").partition(":")
    name = name.lower()
    if colon and name in NAMES:
        values = _values(name, value.removeprefix('"'), among, using or store_alias())
        terms = [(one, "", f"{Term(name, one, negated)} ") for one in values]
    elif colon:
        return []
    else:
        sign = "-" if negated else ""
        terms = [(f"{one}:", MEANINGS[one], f"{sign}{one}:") for one in NAMES if one.startswith(name)]
    rest = text[caret:].lstrip() if colon else text[caret:]
    return [
        Suggestion(label, meaning, text[:start] + term + rest, start + len(term))
        for label, meaning, term in terms[:OFFERED]
    ]


def _values(name: str, prefix: str, among: EventQuerySet | None, using: str) -> list[str]:
    if name in TIMES:
        return [one for one in _TIMES if one.startswith(prefix)]
    if among is not None or not dialect.is_sqlite(connections[using]):
        return _latest(name, prefix, reading.events_of(using) if among is None else among)
    index = coverage(using).index
    if index is None:
        return []
    column = _INDEXED[name]
    known = " AND git IS NOT NULL" if column == "git" else ""
    sql = (
        f"SELECT text FROM name WHERE field = ? AND {{}} AND EXISTS (SELECT 1 FROM doc WHERE {column} = name.id{known})"  # noqa: S608
        " ORDER BY text LIMIT ?"
    )
    begins: list[Any] = [FIELD_NUMBERS[column], prefix, prefix + "\U0010ffff", OFFERED]
    found = [row[0] for row in index.execute(sql.format("text >= ? AND text < ?"), begins)]
    if len(found) < OFFERED and prefix:
        within = index.execute(sql.format("instr(text, ?) > 1"), [FIELD_NUMBERS[column], prefix, OFFERED])
        found += [row[0] for row in within if row[0] not in found]
    return found


def _latest(name: str, prefix: str, events: EventQuerySet) -> list[str]:
    """Return the values that the newest of some events have."""
    rows = events.order_by(*clauses.ORDER).values_list(_STORED[name], flat=True)[:_LATEST]
    return sorted({str(one) for one in rows if one is not None and str(one).startswith(prefix)})[:OFFERED]


__all__ = ["FIELDS", "MEANINGS", "Suggestion", "complete"]
