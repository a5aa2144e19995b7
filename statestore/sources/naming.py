"""Which rows of a list come from a store of another framework, so that each says so, and as of when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from statestore import models
from statestore.db.errors import translated_errors


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The sources of a page's rows, by the agents and the sessions that these belong to."""

    by_agent: Mapping[str, models.Source] = field(default_factory=dict)
    by_session: Mapping[str, models.Source] = field(default_factory=dict)

    @property
    def sources(self) -> list[models.Source]:
        """Each source once, by name."""
        found = {source.pk: source for source in (*self.by_agent.values(), *self.by_session.values())}
        return sorted(found.values(), key=lambda source: str(source.name))

    def source_of(self, agent_id: object, session_id: object = None) -> models.Source | None:
        """Return the source of a row, None for one of our own."""
        return self.by_agent.get(str(agent_id)) or self.by_session.get(str(session_id))


def mirrors(using: str, agents: Iterable[str | None], sessions: Iterable[str] = ()) -> Mirrors:
    """Return the sources of rows of some agents, or in some sessions.

    Without sources it takes one query, otherwise one more for each kind of row; their number does not matter.
    """
    with translated_errors():
        known = {source.pk: source for source in models.Source.objects.using(using)}
        if not known:
            return Mirrors()
        agent_of = _agents_of(set(sessions), using)
        wanted = {*filter(None, agents), *agent_of.values()}
        threads = models.SourceThread.objects.using(using).filter(agent_id__in=wanted)
        by_agent = {agent: known[pk] for agent, pk in threads.values_list("agent_id", "source_id") if pk in known}
    by_session = {session: by_agent[agent] for session, agent in agent_of.items() if agent in by_agent}
    return Mirrors(by_agent, by_session)


def _agents_of(sessions: set[str], using: str) -> dict[str, str]:
    if not sessions:
        return {}
    rows = models.Session.objects.using(using).filter(pk__in=sessions)
    return dict(rows.values_list("pk", "agent_id"))
