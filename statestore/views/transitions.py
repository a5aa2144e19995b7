"""Transitions: what changed."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.db.ids import RowId
from statestore.forms import StateForm
from statestore.history import moments
from statestore.views.access import require_viewer, scope
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView


@require_safe
@require_viewer
@json_twin("get_transition")
def transition_detail(request: HttpRequest, transition_id: RowId) -> HttpResponse:
    """Show one transition: its changes in reading order, or the whole state after it."""
    transition = transition_or_404(request, transition_id)
    agent = history.find_agent(transition.agent_id)
    whole = request.GET.get("show") == "state"
    context = {
        "place": "agents",
        "transition": transition,
        "agent": agent,
        "etag": agent.etag() if agent else "",
        "comparison": ComparisonView(transition.state_before, transition.state_after),
        "layout": "split" if request.GET.get("layout") == "split" else "unified",
        "state": StateView(
            transition.state_after,
            transition.agent_id,
            str(moments.AtTransition(transition.pk, "after")),
            asked=StateForm(request.GET).checked,
        )
        if whole
        else None,
        "git_commit": history.commits(transition.agent_id, [transition.pk]).get(str(transition.pk), ""),
        "older": _sibling(transition, older=True),
        "newer": _sibling(transition, older=False),
    }
    return render_page(request, "history/transition.html", context)


def _sibling(transition: models.Transition, *, older: bool) -> object:
    """Return the transition before or after one, among recorded or captured ones."""
    rows = type(transition)._default_manager
    siblings = rows.all().of_agent(transition.agent_id).without_states()
    at = transition.timestamp, transition.rowid
    near = siblings.older_than(*at).newest_first() if older else siblings.newer_than(*at).oldest_first()
    return near.first()


def transition_or_404(request: HttpRequest, transition_id: RowId) -> models.Transition:
    """Return the transition of a URL, or answer 404."""
    transition = history.find_transition(transition_id)
    if transition is None or not scope(request).includes(transition.agent_id):
        raise Http404("Transition not found.")
    return transition
