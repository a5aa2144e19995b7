"""The sessions of agents: `agent:` finds what an agent did, and all events of its sessions and of those it acted in."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TypeAlias

from django.db.models import Q, QuerySet

from statestore import models
from statestore.db.errors import translated_errors
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.query import Query

# Returns the sessions in which agents acted: at least the given number, if there are more.
ActedIn: TypeAlias = Callable[[Collection[str], int], Iterable[str]]


def resolved(query: Query, using: str, acted_in: ActedIn) -> Query:
    """Return a query with the sessions of its agents, unless they are too many."""
    sessions = {
        negated: _sessions(agents, using, acted_in)
        for negated in (False, True)
        if (agents := query.values("agent", negated=negated))
    }
    if not sessions:
        return query
    return replace(query, sessions=sessions.get(False), unwanted_sessions=sessions.get(True))


def _sessions(agents: Collection[str], using: str, acted_in: ActedIn) -> frozenset[str] | None:
    most = limits.AGENT_SESSIONS
    with translated_errors():
        own = models.Session.objects.using(using).of_agents(agents).order_by().values_list("pk", flat=True)[: most + 1]
        sessions = frozenset(own).union(acted_in(agents, most + 1)) - {""}
    return sessions if len(sessions) <= most else None


def acted_in(events: EventQuerySet, agents: Collection[str]) -> QuerySet[models.Event, str]:
    """Return the sessions in which agents acted, as some events say. No id is no session."""
    return events.by_agents(agents).exclude(session_id="").order_by().values_list("session_id", flat=True).distinct()


def condition(column: str, events: EventQuerySet, agents: Collection[str], sessions: frozenset[str] | None) -> Q:
    """Return the condition for events in the sessions of agents; if these are not listed, they are looked up."""
    if events.reach is None and sessions is not None and len(sessions) <= limits.LISTED_SESSIONS:
        return Q(**{f"{column}__in": sessions}) if sessions else Q()
    known, recorded = events.reach or (
        models.Event.objects.using(events.db),
        models.Session.objects.using(events.db).all(),
    )
    own = recorded.of_agents(agents).exclude(pk="").order_by().values("pk")
    return Q(**{f"{column}__in": acted_in(known, agents)}) | Q(**{f"{column}__in": own})
