"""The pages about one agent: its tabs, and what the search box offers on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.http import urlencode

from statestore.access import rights
from statestore.db.ids import to_address, url_of
from statestore.models import AgentState
from statestore.search import Term
from statestore.views.formatting import visible

# Searches of events take no longer ones.
_ID_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class AgentPage:
    """A page about an agent, or what can be done on it."""

    name: str
    label: str
    url: str


def tabs(agent_id: str, user: User | AnonymousUser) -> list[AgentPage]:
    """Return the tabs of an agent that a user may open."""
    return [page for page, codename in _tabs(agent_id) if rights.may(user, codename)]


def _tabs(agent_id: str) -> Iterator[tuple[AgentPage, str]]:
    own = url_of("agent", agent_id)
    address = to_address(agent_id)
    compare = f"{reverse('compare')}?{urlencode({'left': address})}"
    yield AgentPage("agent", "State", own), "view_agentstate"
    yield AgentPage("conversation", "Conversation", f"{own}?view=conversation"), "view_agentstate"
    yield AgentPage("timeline", "Timeline", url_of("timeline", agent_id)), "view_agentstate"
    yield AgentPage("blame", "Blame", url_of("blame", agent_id)), "view_agentstate"
    yield AgentPage("bisect", "Bisect", url_of("bisect", agent_id)), "view_agentstate"
    yield AgentPage("compare", "Compare", compare), "view_agentstate"
    yield AgentPage("events", "Events", events_url(agent_id)), "view_event"
    yield AgentPage("sessions", "Sessions", f"{reverse('sessions')}?{urlencode({'agent': address})}"), "view_session"
    yield AgentPage("fork", "Forks", url_of("fork", agent_id)), "restore_agent"


def events_url(agent_id: str) -> str:
    """Return the address of an agent's events: by itself, and by users, tools and others in its sessions."""
    wanted = visible(agent_id[:_ID_CHARACTERS])
    return f"{reverse('events')}?{urlencode({'q': str(Term('agent', wanted))})}"


def actions(agent: AgentState, user: User | AnonymousUser) -> list[AgentPage]:
    """Return what a user can do to an agent, each where its form is."""
    own = url_of("agent", agent.agent_id)
    offered = [
        (AgentPage("snapshot", "Take a snapshot", f"{own}#take-snapshot"), "snapshot_agent"),
        (AgentPage("restore", "Restore an earlier state", url_of("timeline", agent.agent_id)), "restore_agent"),
        (AgentPage("status", "Change the status", f"{own}#change-status"), "change_agent_status"),
    ]
    if not agent.is_deleted:
        offered.append((AgentPage("delete", "Move to trash", f"{own}#delete-agent"), "trash_agent"))
    return [page for page, codename in offered if rights.may(user, codename)]
