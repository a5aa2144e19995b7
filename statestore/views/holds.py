"""Holds on agents, snapshots and restores: nothing deletes what is held."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from statestore import retention
from statestore.db.ids import RowId
from statestore.forms import ReasonForm
from statestore.views.access import actor, past_or_404, require, restore_or_404, scope, snapshot_or_404


@require_POST
@require("snapshot_agent")
def hold_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Hold an agent with all its records."""
    agent = past_or_404(request, agent_id)
    _hold(request, "agent", agent.agent_id)
    messages.success(request, f"{agent} is held with its snapshots, transitions and events. Nothing deletes them.")
    return redirect(agent)


@require_POST
@require("manage_retention")
def release_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Take the hold off an agent."""
    agent = past_or_404(request, agent_id)
    retention.release(scope(request).using, "agent", agent.agent_id, by=actor(request))
    messages.success(request, f"{agent} is held no longer.")
    return redirect(agent)


@require_POST
@require("snapshot_agent")
def hold_snapshot(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Hold a snapshot."""
    snapshot = snapshot_or_404(request, snapshot_id)
    _hold(request, "snapshot", snapshot.pk)
    messages.success(request, "The snapshot is held. Nothing deletes it.")
    return redirect(snapshot)


@require_POST
@require("manage_retention")
def release_snapshot(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Take the hold off a snapshot."""
    snapshot = snapshot_or_404(request, snapshot_id)
    retention.release(scope(request).using, "snapshot", snapshot.pk, by=actor(request))
    messages.success(request, "The snapshot is held no longer.")
    return redirect(snapshot)


@require_POST
@require("snapshot_agent")
def hold_restore(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Hold a restore, and the snapshot by which it can be undone."""
    done = restore_or_404(request, restore_id)
    _hold(request, "restore", done.pk)
    messages.success(request, "The restore is held, with its safety snapshot. Nothing deletes them.")
    return redirect(done)


@require_POST
@require("manage_retention")
def release_restore(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Take the hold off a restore."""
    done = restore_or_404(request, restore_id)
    retention.release(scope(request).using, "restore", done.pk, by=actor(request))
    messages.success(request, "The restore is held no longer.")
    return redirect(done)


def _hold(request: HttpRequest, noun: str, row_id: str) -> None:
    reason = ReasonForm(request.POST).checked["reason"]
    retention.hold(scope(request).using, noun, row_id, reason=reason, by=actor(request))
