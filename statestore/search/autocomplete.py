"""What the search box offers for the term at the caret: names of filters, and values that exist."""

from dataclasses import dataclass
from typing import Final

from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import facets, limits
from statestore.search.engine import engine_for
from statestore.search.query import NAMES, TIMES, Term, term_around, unquoted

_TIMES: Final = ("15m", "1h", "6h", "24h", "7d", "30d")
MEANINGS: Final = {
    "type": "events of a type", "actor": "the actor's id", "actor-type": "User, Agent or System",
    "session": "events of a session", "agent": "events by an agent, or in its sessions", "commit": "at a git commit",
    "after": "since a time: 2h, 7d, 2026-11-21", "before": "up to a time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A completion of the term at the caret. `text` is the whole box with it, `caret` where typing goes on."""

    label: str
    meaning: str
    text: str
    caret: int


def complete(
    text: str, caret: int, *, among: EventQuerySet | None = None, using: str | None = None
) -> list[Suggestion]:
    """Return at most ten completions of the term at the caret; with `among`, only values of these events."""
    caret = max(0, min(caret, len(text)))
    term = term_around(text, caret)
    negated = text[term.start : term.start + 1] == "-" and term.start < caret
    if term.name and term.value_at <= caret:
        prefix = unquoted(text[term.value_at : caret])
        if term.name in TIMES:
            values = [time for time in _TIMES if time.startswith(prefix)]
        else:
            values = values_of(term.name, prefix, among=among, using=using)
        offered = [(value, "", f"{Term(term.name, value, negated)} ") for value in values]
        rest = text[term.end :].lstrip()
    else:
        prefix = text[term.start + negated : caret].lower()
        sign = "-" if negated else ""
        offered = [(f"{name}:", MEANINGS[name], f"{sign}{name}:") for name in NAMES if name.startswith(prefix)]
        # If only the filter's name is typed anew, its value stays.
        rest = text[term.value_at if term.name else term.end :]
    return [
        Suggestion(label, meaning, text[: term.start] + completion + rest, term.start + len(completion))
        for label, meaning, completion in offered[: limits.COMPLETIONS]
    ]


def values_of(name: str, prefix: str, *, among: EventQuerySet | None = None, using: str | None = None) -> list[str]:
    """Return at most ten values of a filter that begin with a prefix; with `among`, only values of these events."""
    if among is not None:
        return facets.newest_values(among, name, prefix, limits.COMPLETIONS)
    return engine_for(using or store_alias()).values(name, prefix, limits.COMPLETIONS)
