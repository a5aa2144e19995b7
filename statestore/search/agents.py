"""The agents that acted in the matches of a query: all of them, while facets show the commonest."""

from dataclasses import dataclass

from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.hits import events_of
from statestore.search.query import Query
from statestore.search.results import find_ids


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents that acted in the newest answers; with `has_more`, others may have acted in older ones."""

    names: list[str]
    has_more: bool


def agents_of(query: Query, *, among: EventQuerySet | None = None, using: str | None = None) -> Agents:
    """Return the agents that acted in the events that match a query, a few hundred at most."""
    using = using or store_alias()
    names: dict[str, None] = {}
    cursor: str | None = ""
    read = 0
    while cursor is not None and read < limits.SAMPLED_EVENTS and len(names) <= limits.AGENTS:
        ids, cursor = find_ids(query, cursor=cursor, limit=limits.IDS_PER_PAGE, among=among, using=using)
        read += len(ids)
        for batch in batched(ids, limits.IDS_AT_ONCE):
            events = events_of(using).filter(pk__in=batch, actor_type="Agent").order_by()
            with translated_errors():
                names |= dict.fromkeys(events.values_list("actor_id", flat=True).distinct())
        if not ids:
            break  # A whole portion without a match: going on could take long.
    return Agents(list(names)[: limits.AGENTS], cursor is not None or len(names) > limits.AGENTS)
