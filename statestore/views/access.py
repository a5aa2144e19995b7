"""Access to views: permissions and the acting user."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from statestore import history
from statestore.access import rights
from statestore.access.audit import Actor
from statestore.access.scope import Scope, scope_of
from statestore.db.ids import RowId
from statestore.models import AgentState, Restore, Snapshot
from statestore.store import StateStore

Rest = ParamSpec("Rest")
Answer = TypeVar("Answer")
View: TypeAlias = Callable[Concatenate[HttpRequest, Rest], Answer]


def require(codename: str) -> Callable[[View[Rest, Answer]], View[Rest, Answer]]:
    """Answer 403 to users without the permission."""

    def declare(view: View[Rest, Answer]) -> View[Rest, Answer]:
        @wraps(view)
        def checked(request: HttpRequest, /, *arguments: Rest.args, **keywords: Rest.kwargs) -> Answer:
            if not rights.may(request.user, codename):
                raise PermissionDenied
            return view(request, *arguments, **keywords)

        return checked

    return declare


require_viewer = require("view_agentstate")


def actor(request: HttpRequest) -> Actor:
    """Return the user and the IP address of a request."""
    return Actor(request.user.get_username(), request.META.get("REMOTE_ADDR", ""), "session")


def scope(request: HttpRequest) -> Scope:
    """Return the rows that the signed-in user may see."""
    return scope_of(request.user)


def user_pk(request: HttpRequest) -> int:
    """Return the id of the signed-in user; 0 for anonymous users, who own no rows."""
    return int(request.user.pk or 0)


def store(request: HttpRequest) -> StateStore:
    """Return the store on behalf of the signed-in user."""
    return StateStore(actor=actor(request))


def agent_or_404(request: HttpRequest, agent_id: RowId) -> AgentState:
    """Return the agent of a URL, or answer 404."""
    agent = scope(request).agents().named(agent_id, "agent_id")
    if agent is None:
        raise Http404("Agent not found. Its orchestrator may have deleted it.")
    return agent


def past_or_404(request: HttpRequest, agent_id: RowId) -> AgentState:
    """Return the agent of a URL, or what remains of it if its orchestrator deleted it; or answer 404.

    Whose namespace it was is then unknown: only users who see the whole store are shown what remains.
    """
    seen = scope(request)
    if not seen.is_unrestricted:
        return agent_or_404(request, agent_id)
    agent = history.find_agent(agent_id)
    if agent is None:
        raise Http404("Agent not found, and nothing remains of its past.")
    return agent


def snapshot_or_404(request: HttpRequest, snapshot_id: RowId) -> Snapshot:
    """Return the snapshot of a URL, or answer 404."""
    snapshot = scope(request).snapshots().named(snapshot_id)
    if snapshot is None:
        raise Http404("Snapshot not found. It may have expired.")
    return snapshot


def restore_or_404(request: HttpRequest, restore_id: RowId) -> Restore:
    """Return the restore of a URL, or answer 404."""
    done = scope(request).restores().named(restore_id)
    if done is None:
        raise Http404("Restore not found.")
    return done
