"""Which agents an answer is about: all of them, where facets tell the commonest."""

from dataclasses import dataclass
from typing import Final

from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.search.fts import unindexed
from statestore.search.query import Query
from statestore.search.results import find_ids

MOST_EVENTS: Final = 5_000
MOST_AGENTS: Final = 300
_IDS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents that acted in the newest answers; `has_more` tells that others may have acted in older ones."""

    names: list[str]
    has_more: bool


def agents(query: Query, *, using: str | None = None) -> Agents:
    """Return the agents that acted in the events that a query asks for, some hundreds of them at most."""
    using = using or store_alias()
    names: dict[str, None] = {}
    cursor: str | None = ""
    read = 0
    while cursor is not None and read < MOST_EVENTS and len(names) <= MOST_AGENTS:
        ids, cursor = find_ids(query, cursor=cursor, limit=_IDS_AT_ONCE, using=using)
        read += len(ids)
        for start in range(0, len(ids), unindexed.NAMES_AT_ONCE):
            events = unindexed.events_of(using).filter(pk__in=ids[start : start + unindexed.NAMES_AT_ONCE])
            with translated_errors():
                acting = events.order_by().filter(actor_type="Agent").values_list("actor_id", flat=True).distinct()
                names |= dict.fromkeys(acting)
        if not ids:
            break  # What was looked through had none: looking on could take long.
    return Agents(list(names)[:MOST_AGENTS], cursor is not None or len(names) > MOST_AGENTS)
