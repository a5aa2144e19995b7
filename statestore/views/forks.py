"""Forks: a new agent from any moment of another one."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from statestore import history, models, restore
from statestore.access.scope import Scope
from statestore.db.ids import RowId
from statestore.errors import StateStoreError
from statestore.forms import ForkForm, StateForm
from statestore.history import moments
from statestore.sources import forking
from statestore.views.access import actor, past_or_404, require, scope
from statestore.views.formatting import visible
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.moment_names import moment_names
from statestore.views.states import StateView


@require_http_methods(["GET", "HEAD", "POST"])
@require("restore_agent")
@json_twin("get_state", "moment")
def fork_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show the initial state of a fork, and create it."""
    agent, seen = past_or_404(request, agent_id), scope(request)
    moment = moments.parse(request.POST.get("moment") or request.GET.get("moment") or last_moment(agent))
    offered = visible(f"{agent.agent_id[:80]}-fork")
    form = ForkForm(request.POST if request.method == "POST" else None, initial={"agent_id": offered})
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            if values["in_source"]:
                child = forking.fork(
                    agent, moment, values["agent_id"], by=actor(request), reason=values["reason"], scope=seen
                )
            else:
                child = restore.fork(
                    agent.agent_id, moment, values["agent_id"], by=actor(request), name=values["name"],
                    reason=values["reason"], scope=seen,
                )  # fmt: skip
        except StateStoreError as error:
            form.add_error("agent_id", str(error))
        else:
            messages.success(request, f"Forked {agent} as {child}. Its orchestrator can continue with it.")
            return redirect(child)
    context = _context(agent, moment, form, seen, StateForm(request.GET).checked)
    origins = [one.fork.moment for one in context["lineage"] if one.fork]
    context["moment_names"] = moment_names(request, origins)
    return render_page(request, "forks/new.html", context, status=422 if form.errors else 200)


def last_moment(agent: models.AgentState) -> str:
    """Return the moment of an agent's last known state: now, unless its orchestrator deleted it."""
    return f"at:{int(agent.updated_at)}" if agent.is_gone else "now"


def _context(
    agent: models.AgentState, moment: moments.Moment, form: ForkForm, seen: Scope, asked: dict[str, object]
) -> dict[str, Any]:
    known = history.state_at(agent.agent_id, moment)
    return {
        "place": "agents",
        "agent": agent,
        "form": form,
        "known": known,
        "source_effects": forking.effects(agent, known, seen.using),
        "state": StateView(known.text, agent.agent_id, str(moment), asked=asked),
        "lineage": restore.lineage(agent.agent_id, scope=seen),
    }
