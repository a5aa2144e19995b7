"""Cases: an agent or one transition as a file for a ticket, its secrets masked."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import cases, history
from statestore.access import rights
from statestore.db.ids import RowId, to_address
from statestore.forms import CaseForm, CaseFormatForm
from statestore.views import search_page
from statestore.views.access import past_or_404, require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.transitions import transition_or_404


@require_safe
@require_viewer
@json_twin("get_agent_case")
def agent_case(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show what can go into an agent's case; with a format, return the file."""
    agent = past_or_404(request, agent_id)
    if "format" not in request.GET:
        return render_page(request, "cases/agent.html", {"place": "agents", "agent": agent, "form": CaseForm()})
    form = CaseForm(request.GET)
    wanted = form.wanted()
    if wanted.events and not rights.may(request.user, "view_event"):
        raise PermissionDenied
    kind = form.cleaned_data["format"]
    return _file(cases.agent_case(agent, wanted, scope(request), kind), str(agent.agent_id), kind)


@require_safe
@require_viewer
@json_twin("get_transition_case")
def transition_case(request: HttpRequest, transition_id: RowId) -> HttpResponse:
    """Show the formats of a transition's case; with one of them, return the file."""
    transition = transition_or_404(request, transition_id)
    agent = history.find_agent(transition.agent_id)
    if "format" not in request.GET:
        context = {"place": "agents", "agent": agent, "transition": transition, "form": CaseFormatForm()}
        return render_page(request, "cases/transition.html", context)
    kind = CaseFormatForm(request.GET).checked["format"]
    return _file(cases.transition_case(transition, agent, kind), f"transition-{transition.pk}", kind)


def _file(content: bytes, name: str, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=cases.FORMATS[kind])
    address = to_address(name)[:60].replace("~", "-")
    response["Content-Disposition"] = f'attachment; filename="case-{address}-{search_page.now_text()}.{kind}"'
    return response
