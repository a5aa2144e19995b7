"""Agents: the list, one agent with its past, and what can be done to it."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import history, models
from statestore.access.scope import Scope
from statestore.agents import limits as agent_limits
from statestore.agents import processes
from statestore.db.ids import RowId
from statestore.db.pagination import Page
from statestore.errors import ValidationError
from statestore.forms import AgentFilterForm, ReasonForm, SnapshotForm, StateForm, StatusForm
from statestore.history import moments
from statestore.jsondiff.parsing import NotJson
from statestore.models.agents import in_order
from statestore.sources.naming import mirrors
from statestore.views.access import agent_or_404, past_or_404, require, require_viewer, scope, store
from statestore.views.agent_pages import events_url
from statestore.views.conversation import ConversationView
from statestore.views.diagnosis import diagnosis
from statestore.views.htmx import render_live, render_page
from statestore.views.json_links import json_twin
from statestore.views.moment_names import moment_names
from statestore.views.sign_in import confirmed
from statestore.views.states import StateView
from statestore.views.svg import sparkline

TIMELINE_ROWS = 30
SIDE_ROWS = 10


@require_safe
@require_viewer
@json_twin("list_agents", "q", "status", "sort", "namespace")
def agent_list(request: HttpRequest) -> HttpResponse:
    """Show a page of agents, filtered and sorted by the query string."""
    form = AgentFilterForm(request.GET)
    seen = scope(request)
    counts = seen.agents().alive().counts_by_status()
    context: dict[str, object] = {
        "place": "agents",
        "form": form,
        "counts": in_order(counts),
        "total": sum(counts.values()),
        "namespaces": seen.namespaces_in_use(),
        "statuses": models.AgentStatus.choices,
        # They have no namespace.
        "processes": processes.newest(seen.using) if seen.is_unrestricted else [],
    }
    if form.is_valid():
        context |= _listed(request, form, seen)
    return render_live(request, "agents/list.html", context, fragment="agents/_rows.html")


@dataclass(frozen=True, slots=True)
class ListedAgent:
    """One row of the list: the agent, its last reason, how often in a row, and the sizes of its last states, drawn."""

    agent: models.AgentState
    recent: history.Recent
    steps: str


def _listed(request: HttpRequest, form: AgentFilterForm, seen: Scope) -> dict[str, object]:
    """Return a page of agents, and how many match in all, up to as many as can be chosen at once."""
    page = form.page(seen.agents(form.agents()), form.order())
    recent = history.recent_changes([agent.agent_id for agent in page.rows], using=seen.using)
    filters = request.GET.copy()
    for name in ("cursor", "size", "sort"):
        filters.pop(name, None)
    return {
        "page": page,
        "listed": [
            ListedAgent(agent, one, sparkline.steps(one.sizes)) for agent, one in zip(page.rows, recent, strict=True)
        ],
        "matching": _matching(form, seen, page),
        "most": agent_limits.MATCHING_AGENTS,
        "filter": filters.urlencode(),
        "sort": form.cleaned_data["sort"] or "changed",
        "mirrors": mirrors(seen.using, (agent.agent_id for agent in page.rows)),
    }


def _matching(form: AgentFilterForm, seen: Scope, page: Page[models.AgentState]) -> int:
    """Return how many agents match. A page that has them all is not counted: a rare text is looked for in all names."""
    if page.older is None and page.newer is None:
        return len(page.rows)
    return seen.agents(form.counted()).count_up_to(agent_limits.MATCHING_AGENTS)


@require_safe
@require_viewer
@json_twin("get_agent")
def agent_detail(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show an agent: its state at the left, its past at the right."""
    agent, seen = past_or_404(request, agent_id), scope(request)
    if agent.is_gone:
        return _gone(request, agent)
    state = StateView(agent.state_data, agent.agent_id, "now", asked=StateForm(request.GET).checked)
    context = {
        "place": "agents",
        "agent": agent,
        "etag": agent.etag(),
        "state": state,
        "tombstone": seen.tombstones().filter(agent_id=agent.agent_id).first(),
    }
    # A conversation has the page to itself.
    if state.conversation:
        _explain(state.conversation, agent)
    else:
        context |= _beside(request, agent, seen)
    return render_page(request, "agents/detail.html", context)


def _explain(conversation: ConversationView, agent: models.AgentState) -> None:
    """Add what set each message, and what removed others; nothing of a state that is too large to be blamed."""
    try:
        found = history.blame(agent)
    except (ValidationError, NotJson):
        return
    conversation.causes = found.newest_below(conversation.path)
    conversation.seams = [seam for seam in found.seams if seam.path == conversation.path]


def _beside(request: HttpRequest, agent: models.AgentState, seen: Scope) -> dict[str, object]:
    """Return what stands beside an agent's state: its past, and what it is involved in."""
    restores = list(seen.restores().of_agent(agent.agent_id).newest_first().with_standing()[:3])
    return _timeline(request, agent) | {
        "diagnosis": None if agent.is_deleted else diagnosis(agent),
        "metadata": StateView(agent.metadata, name="metadata"),
        "events_url": events_url(agent.agent_id),
        "events": history.latest_events(agent.agent_id, SIDE_ROWS),
        "tasks": seen.tasks().assigned_to(agent.agent_id).last_changed_first()[:SIDE_ROWS],
        "sessions": seen.sessions().of_agent(agent.agent_id).newest_first()[:SIDE_ROWS],
        "restores": restores,
        "moment_names": moment_names(request, (row.moment for row in restores)),
    }


def _timeline(request: HttpRequest, agent: models.AgentState) -> dict[str, object]:
    entries, older = history.timeline(agent.agent_id, cursor=request.GET.get("older", ""), limit=TIMELINE_ROWS)
    return {"entries": history.folded(entries), "older": older}


def _gone(request: HttpRequest, agent: models.AgentState) -> HttpResponse:
    """Show what remains of an agent that its orchestrator deleted, and offer to restore it."""
    moment = str(moments.AtTime(int(agent.updated_at)))
    context = _timeline(request, agent) | {
        "place": "agents",
        "agent": agent,
        "etag": agent.etag(),
        "moment": moment,
        "remains": str(history.not_there(agent.agent_id)),
        "state": StateView(agent.state_data, agent.agent_id, moment, asked=StateForm(request.GET).checked),
    }
    return render_page(request, "agents/gone.html", context)


@require_POST
@require("snapshot_agent")
def take_snapshot(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Take a snapshot of an agent's state now."""
    agent, form = agent_or_404(request, agent_id), SnapshotForm(request.POST)
    description = form.checked["description"]
    snapshot = store(request).create_snapshot(agent.agent_id, description, expires_at=form.expires_at())
    messages.success(request, f"Snapshot taken: {snapshot}.")
    return redirect(agent)


@require_POST
@require("change_agent_status")
def change_status(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Change an agent's status, recorded as a transition."""
    agent, form = agent_or_404(request, agent_id), StatusForm(request.POST)
    status, reason = form.checked["status"], form.checked["reason"]
    changed = store(request).update_agent_status(agent.agent_id, status, reason=reason)
    messages.success(request, f"Status changed to {status}." if changed else f"The status is already {status}.")
    return redirect(agent)


@require_POST
@require("trash_agent")
def delete_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Move an agent to the trash."""
    agent, form = agent_or_404(request, agent_id), ReasonForm(request.POST)
    store(request).delete_agent(agent.agent_id, reason=form.checked["reason"])
    messages.success(request, f"Moved {agent} to the trash. Its state and history are kept.")
    return redirect("trash")


@require_POST
@require("trash_agent")
def undelete_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Restore an agent from the trash."""
    agent = store(request).undelete_agent(agent_or_404(request, agent_id).agent_id)
    messages.success(request, f"Restored {agent} from the trash.")
    return redirect(agent)


@require_POST
@require("purge_agent")
@confirmed
def purge_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Delete an agent in the trash permanently."""
    agent = agent_or_404(request, agent_id)
    store(request).purge_agent(agent.agent_id)
    messages.success(request, f"Permanently deleted {agent} with its transitions and snapshots.")
    return redirect("trash")
