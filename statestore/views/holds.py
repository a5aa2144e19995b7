"""Holds on agents, snapshots and restores: nothing deletes what is held."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from statestore import retention
from statestore.db.ids import RowId
from statestore.forms import ReasonForm
from statestore.models import AgentState, Restore, Snapshot
from statestore.views.access import actor, past_or_404, require, restore_or_404, scope, snapshot_or_404


@require_POST
@require("snapshot_agent")
def hold_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Hold an agent with all its records."""
    agent = past_or_404(request, agent_id)
    said = f"{agent} is held with its snapshots, transitions and events. Nothing deletes them."
    return _hold(request, "agent", agent, said)


@require_POST
@require("manage_retention")
def release_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Take the hold off an agent."""
    agent = past_or_404(request, agent_id)
    return _release(request, "agent", agent, f"{agent} is held no longer.")


@require_POST
@require("snapshot_agent")
def hold_snapshot(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Hold a snapshot."""
    snapshot = snapshot_or_404(request, snapshot_id)
    return _hold(request, "snapshot", snapshot, "The snapshot is held. Nothing deletes it.")


@require_POST
@require("manage_retention")
def release_snapshot(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Take the hold off a snapshot."""
    return _release(request, "snapshot", snapshot_or_404(request, snapshot_id), "The snapshot is held no longer.")


@require_POST
@require("snapshot_agent")
def hold_restore(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Hold a restore, and the snapshot by which it can be undone."""
    done = restore_or_404(request, restore_id)
    return _hold(request, "restore", done, "The restore is held, with its safety snapshot. Nothing deletes them.")


@require_POST
@require("manage_retention")
def release_restore(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Take the hold off a restore."""
    return _release(request, "restore", restore_or_404(request, restore_id), "The restore is held no longer.")


def _hold(request: HttpRequest, noun: str, row: AgentState | Snapshot | Restore, said: str) -> HttpResponse:
    reason = ReasonForm(request.POST).checked["reason"]
    retention.hold(scope(request).using, noun, _id_of(row), reason=reason, by=actor(request))
    messages.success(request, said)
    return redirect(row)


def _release(request: HttpRequest, noun: str, row: AgentState | Snapshot | Restore, said: str) -> HttpResponse:
    retention.release(scope(request).using, noun, _id_of(row), by=actor(request))
    messages.success(request, said)
    return redirect(row)


def _id_of(row: AgentState | Snapshot | Restore) -> str:
    # The key of an agent's row has its namespace too.
    return str(row.agent_id if isinstance(row, AgentState) else row.pk)
