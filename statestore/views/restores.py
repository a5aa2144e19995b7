"""Restores and plans: list, detail, apply, approve, undo."""

from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import history, models, restore, retention
from statestore.access import rights
from statestore.db.ids import RowId
from statestore.errors import Conflict, NotFound
from statestore.forms import PageForm, ReasonForm, StatusForm
from statestore.history import moments
from statestore.views.access import actor, require, restore_or_404, scope
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.moment_names import moment_names
from statestore.views.restore_preview import moved
from statestore.views.states import StateView

LISTED_PLANS: Final = 20


@require_safe
@require("view_restore")
@json_twin("list_restores")
def restore_list(request: HttpRequest) -> HttpResponse:
    """Show who restored what, when and why, and whether it is still in force."""
    seen = scope(request)
    page = PageForm(request.GET).page(seen.restores().with_standing().with_undo(), ("-at", "-id"))
    context: dict[str, object] = {"place": "restores", "page": page}
    context["moment_names"] = moment_names(request, (row.moment for row in page.rows))
    if not getattr(request, "htmx", None):
        context["plans"] = seen.plans().waiting(models.now())[:LISTED_PLANS]
    return render_page(request, "restores/list.html", context, fragment="restores/_rows.html")


@require_safe
@require("view_restore")
@json_twin("get_restore")
def restore_detail(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Show one restore: what it did, its proof, whether it is in force, and its undo; or the plan that it still is."""
    seen = scope(request)
    done = seen.restores().named(restore_id)
    if done is None:
        return _plan_detail(request, restore_id)
    agent, standing = seen.agents().filter(agent_id=done.agent_id).first(), restore.verify(done)
    transition = seen.transitions().filter(pk=done.transition_id).first()
    undoes = seen.restores().filter(pk=done.undoes_id).first() if done.undoes_id else None
    context: dict[str, object] = {
        "place": "restores",
        "restore": done,
        "moment_names": moment_names(
            request, [done.safety_moment, *(row.moment for row in (done, undoes) if row is not None)]
        ),
        "agent": agent,
        "etag": agent.etag() if agent else models.GONE_ETAG,
        "standing": standing,
        "may_undo": _may_set(request, done.status_after),
        "transition": transition,
        "comparison": ComparisonView(transition.state_before, transition.state_after) if transition else None,
        "undone_by": seen.restores().filter(undoes_id=done.pk).newest_first().first(),
        "undoes": undoes,
        "hold": retention.held(seen.using, "restore", done.pk),
        "hold_form": ReasonForm(auto_id=False),
    }
    if agent is not None and not agent.is_deleted and standing.in_force:
        context |= {"next": _next_step(agent), "aftermath": _not_undone(done)}
        context["status_form"] = StatusForm(auto_id=False, initial={"status": "idle"})
    return render_page(request, "restores/detail.html", context)


def _may_set(request: HttpRequest, status: str | None) -> bool:
    """Return whether the user may restore with this status: it needs the right to change one, unless it is empty."""
    return not status or rights.may(request.user, "change_agent_status")


def _next_step(agent: models.AgentState) -> str:
    """Return what a person should know or do, now that the agent's state is restored."""
    if agent.status == "failed":
        return (
            "The agent is still marked as failed: the restore changed its state, not its status. Set the status that"
            " its orchestrator continues from."
        )
    if agent.is_active:
        return (
            f"The agent is {agent.status} and may overwrite this state with its next save. Check on its timeline that"
            " it works from the restored state."
        )
    return (
        f"The agent is {agent.status or 'without a status'}. Its orchestrator continues from this state when it starts"
        " the agent again."
    )


def _not_undone(done: models.Restore) -> restore.SideEffects | None:
    """Return what the agent has done since the moment that was restored; None if that moment is gone."""
    try:
        known = history.state_at(done.agent_id, moments.parse(done.moment))
    except NotFound:
        return None
    return restore.side_effects_of(done.agent_id, known.at)


def _plan_detail(request: HttpRequest, plan_id: RowId) -> HttpResponse:
    """Show a plan: who made it, when, for which state, and what it would do to the agent now."""
    row = _plan_or_404(request, plan_id)
    context: dict[str, object] = {"place": "restores", "row": row, "is_expired": row.is_expired(models.now())}
    context["moment_names"] = moment_names(request, [row.moment])
    try:
        planned = restore.reopen(row)
    except (Conflict, NotFound) as error:
        return render_page(request, "restores/plan.html", context | {"gone": str(error)})
    context |= {
        "plan": planned,
        "agent": planned.agent,
        "has_moved": planned.agent.etag() != row.expected_etag,
        "needs_approval": restore.needs_approval(row.approved_by),
        "may_apply": _may_set(request, row.status),
        "is_own": request.user.get_username() == row.actor,
        "comparison": ComparisonView(planned.agent.state_data, planned.text),
        "state": StateView(planned.text),
        "aftermath": restore.side_effects_of(row.agent_id, planned.target.at),
    }
    return render_page(request, "restores/plan.html", context)


@require_POST
@require("restore_agent")
def apply_plan(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Apply a plan if the agent is unchanged; otherwise show what changed."""
    row = _plan_or_404(request, restore_id)
    if not _may_set(request, row.status):
        raise PermissionDenied
    try:
        return redirect(restore.apply_saved(row, by=actor(request)))
    except restore.Moved as conflict:
        return moved(request, restore.reopen(row), row.hash_before, conflict)


@require_POST
@require("restore_agent")
def approve_plan(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Approve another user's plan."""
    row = restore.approve(_plan_or_404(request, restore_id), by=actor(request))
    messages.success(request, "Approved. Any operator can apply it now.")
    return redirect(row)


def _plan_or_404(request: HttpRequest, plan_id: RowId) -> models.SavedPlan:
    row: models.SavedPlan | None = scope(request).plans().named(plan_id)
    if row is None:
        raise Http404("Restore or plan not found.")
    return row


@require_POST
@require("restore_agent")
def undo_restore(request: HttpRequest, restore_id: RowId) -> HttpResponse:
    """Undo a restore; if the agent has changed since, show the changes instead."""
    done = restore_or_404(request, restore_id)
    if not _may_set(request, done.status_after):
        raise PermissionDenied
    moment = moments.AtSnapshot(done.safety_snapshot_id)
    try:
        undone = restore.undo(done, by=actor(request), expected_etag=request.POST.get("etag", ""))
    except Conflict as conflict:
        if done.has_created:
            raise
        planned = restore.plan(done.agent_id, moment)
        return moved(request, planned, done.hash_after, conflict)
    return redirect(undone)
