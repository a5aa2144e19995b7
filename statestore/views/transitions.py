"""Transitions: what changed."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import models, moments
from statestore.addresses import AnyId
from statestore.views.access import sees
from statestore.views.comparing import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.states import StateView


@require_safe
@sees
def transition_detail(request: HttpRequest, transition_id: AnyId) -> HttpResponse:
    """Show one transition: its changes in reading order, or the whole state after it."""
    transition = models.Transition.objects.all().named(transition_id)
    if transition is None:
        raise Http404("There is no transition of this id.")
    agent = models.AgentState.objects.filter(agent_id=transition.agent_id).first()
    siblings = models.Transition.objects.of_agent(transition.agent_id).without_states()
    whole = request.GET.get("show") == "state"
    context = {
        "place": "agents",
        "transition": transition,
        "agent": agent,
        "etag": agent.etag() if agent else "",
        "comparison": ComparisonView(transition.state_before, transition.state_after),
        "layout": "split" if request.GET.get("layout") == "split" else "unified",
        "state": StateView(
            transition.state_after, transition.agent_id, str(moments.AtTransition(transition.pk, "after"))
        )
        if whole
        else None,
        "older": siblings.before(transition).newest_first().first(),
        "newer": siblings.after(transition).oldest_first().first(),
    }
    return render_page(request, "transition_detail.html", context)
