"""Who took part in a session, and how often."""

from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.db.vendor import SqlRow
from statestore.models.querysets import some_of_each
from statestore.sessions import limits

_SPOKEN: Final = ("event_type", "actor_type", "actor_id")


@dataclass(frozen=True, slots=True)
class Tally:
    """The participants of a session by number of events, of at most COUNTED_EVENTS; the most frequent first."""

    events: int
    is_more: bool
    types: list[tuple[str, int]]
    actors: list[tuple[str, str, int]]

    @property
    def agents(self) -> list[str]:
        """The agents among them."""
        return [actor for kind, actor, _ in self.actors if kind == "Agent"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a session's events say about it; the tally is of the newest COUNTED_EVENTS."""

    first: int | None
    last: int | None
    tally: Tally


def summary(session_id: str, *, using: str | None = None) -> Summary:
    """Return what a session's events say about it, read from the newest back."""
    events = models.Event.objects.using(using or store_alias()).in_session(session_id)
    with translated_errors():
        first = events.oldest_first().values_list("timestamp", flat=True).first()
        rows = list(events.newest_first().values_list("timestamp", *_SPOKEN)[: limits.COUNTED_EVENTS + 1])
    last = int(rows[0][0]) if rows else None
    return Summary(
        None if first is None else int(first), last, _tally([row[1:] for row in rows], limits.COUNTED_EVENTS)
    )


def tallies(session_ids: list[str], using: str) -> list[Tally]:
    """Return the tally of each session, in one query."""
    spoken = models.Event.objects.using(using).values_list(*_SPOKEN)
    grouped = some_of_each(spoken, "session_id", session_ids, limits.LISTED_EVENTS + 1)
    return [_tally(rows, limits.LISTED_EVENTS) for rows in grouped]


def _tally(spoken: list[SqlRow], most: int) -> Tally:
    counted = spoken[:most]
    types = Counter(map(itemgetter(0), counted))
    actors = Counter(map(itemgetter(1, 2), counted))
    who = [(kind, actor, number) for (kind, actor), number in actors.most_common()]
    return Tally(len(counted), len(spoken) > most, types.most_common(), who)
