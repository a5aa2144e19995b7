"""Snapshots: the list, one snapshot against now."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import models, restore, retention
from statestore.db.ids import RowId
from statestore.forms import ReasonForm, SnapshotFilterForm, StateForm
from statestore.history import moments
from statestore.models.querysets import BY_CREATION
from statestore.views.access import require, scope, snapshot_or_404, store
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView

# A list hashes no larger states than this for its one-click buttons; their agents' restores begin with the preview.
HASHED_BYTES = 256 * 1024


@require_safe
@require("view_snapshot")
@json_twin("list_agent_snapshots", when="agent", row="agent")
@json_twin("list_snapshots")
def snapshot_list(request: HttpRequest) -> HttpResponse:
    """Show the snapshots of all agents, or of one, newest first."""
    seen, form = scope(request), SnapshotFilterForm(request.GET)
    rows = seen.snapshots().without_state().with_size()
    agent_id = form.checked["agent"]
    page = form.page(rows.of_agent(agent_id) if agent_id else rows, BY_CREATION)
    ids = {row.agent_id for row in page}
    etags = seen.agents().etags(ids, max_bytes=HASHED_BYTES)
    names = dict(seen.agents().filter(agent_id__in=ids).values_list("agent_id", "name"))
    context = {
        "place": "snapshots",
        "form": form,
        "agent_id": agent_id,
        "rows": [(row, etags.get(row.agent_id), names.get(row.agent_id) or row.agent_id) for row in page],
        "refusals": restore.refusals(ids, seen.using),
        "page": page,
    }
    return render_page(request, "snapshots/list.html", context, fragment="snapshots/_rows.html")


@require_safe
@require("view_snapshot")
@json_twin("get_snapshot")
def snapshot_detail(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Show a snapshot: what would change if it were restored, and its content."""
    snapshot = snapshot_or_404(request, snapshot_id)
    seen = scope(request)
    agent = seen.agents().filter(agent_id=snapshot.agent_id).first()
    context = {
        "place": "snapshots",
        "snapshot": snapshot,
        "agent": agent,
        "etag": agent.etag() if agent else models.GONE_ETAG,
        "state": StateView(
            snapshot.state_data,
            snapshot.agent_id,
            str(moments.AtSnapshot(snapshot.pk)),
            asked=StateForm(request.GET).checked,
        ),
        "comparison": ComparisonView(snapshot.state_data, agent.state_data) if agent else None,
        "hold": retention.held(seen.using, "snapshot", snapshot.pk),
        "agent_hold": retention.held(seen.using, "agent", snapshot.agent_id),
        "hold_form": ReasonForm(auto_id=False),
        "is_expired": snapshot.is_expired(models.now()),
    }
    return render_page(request, "snapshots/detail.html", context)


@require_POST
@require("snapshot_agent")
def delete_snapshot(request: HttpRequest, snapshot_id: RowId) -> HttpResponse:
    """Delete a snapshot."""
    snapshot = snapshot_or_404(request, snapshot_id)
    store(request).delete_snapshot(snapshot.pk)
    messages.success(request, f"Snapshot deleted: {snapshot}.")
    return redirect("snapshots")
