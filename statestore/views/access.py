"""Access to views: permissions and the acting user."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest

from statestore import history
from statestore.access.audit import Actor
from statestore.db.ids import RowId
from statestore.models import AgentState
from statestore.store import StateStore

View = Callable[..., Any]


def require(codename: str) -> Callable[[View], View]:
    """Answer 403 to users without the permission."""
    return permission_required(f"statestore.{codename}", raise_exception=True)


require_viewer: Callable[[View], View] = require("view_agentstate")


def actor(request: HttpRequest) -> Actor:
    """Return the user and the IP address of a request."""
    return Actor(request.user.get_username(), request.META.get("REMOTE_ADDR", ""))


def user_pk(request: HttpRequest) -> int:
    """Return the id of the signed-in user; 0 for anonymous users, who own no rows."""
    return int(request.user.pk or 0)


def store(request: HttpRequest) -> StateStore:
    """Return the store on behalf of the signed-in user."""
    return StateStore(actor=actor(request))


def agent_or_404(agent_id: RowId) -> AgentState:
    """Return the agent of a URL, or answer 404."""
    agent = AgentState.objects.all().named(agent_id, "agent_id")
    if agent is None:
        raise Http404("Agent not found. Its orchestrator may have deleted it.")
    return agent


def past_or_404(agent_id: RowId) -> AgentState:
    """Return the agent of a URL, or what remains of it if its orchestrator deleted it; or answer 404."""
    agent = history.find_agent(agent_id)
    if agent is None:
        raise Http404("Agent not found, and nothing remains of its past.")
    return agent
