"""Restores: preview, apply by one click, the result with its proof, undo."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from statestore import history, models, moments, restore
from statestore.addresses import AnyId
from statestore.errors import Conflict, ValidationError
from statestore.forms import PageForm, RestoreForm
from statestore.views.access import actor, agent_or_404, may, sees
from statestore.views.comparing import ComparisonView
from statestore.views.htmx import render_page

LISTED_TRANSITIONS = 5


@require_http_methods(["GET", "HEAD", "POST"])
@sees
def restore_agent(request: HttpRequest, agent_id: AnyId) -> HttpResponse:
    """GET: preview what a restore would do. POST: do it, unless something warns and nobody has confirmed."""
    agent = agent_or_404(agent_id)
    if request.method == "POST":
        response: HttpResponse = _apply(request, agent)
        return response
    planned = restore.plan(agent.agent_id, moments.parse(request.GET.get("moment", "")))
    return render_page(request, "restore_preview.html", _preview(planned))


def _preview(planned: restore.Plan) -> dict[str, Any]:
    """Return what the preview shows: the diff to be applied, and what will be overwritten."""
    agent, since = planned.agent, planned.target.at
    later = models.Transition.objects.of_agent(agent.agent_id).without_states().newest_first()
    overwritten = list(later.since(since)[: LISTED_TRANSITIONS + 1]) if since is not None else []
    return {
        "place": "restores",
        "agent": agent,
        "plan": planned,
        "etag": planned.expected_etag,
        "state_hash": agent.state_hash(),
        "comparison": ComparisonView(agent.state_data, planned.target.text),
        "overwritten": overwritten[:LISTED_TRANSITIONS],
        "more_overwritten": len(overwritten) > LISTED_TRANSITIONS,
    }


@may("restore_agent")
def _apply(request: HttpRequest, agent: models.AgentState) -> HttpResponse:
    form = RestoreForm(request.POST)
    if not form.is_valid():
        raise ValidationError(
            "This restore is not complete. Nothing was changed; go back to the preview and try again."
        )
    values = form.cleaned_data
    planned = restore.plan(agent.agent_id, moments.parse(values["moment"]))
    asked = {"confirmed": values["confirmed"], "reason": values["reason"]}
    try:
        done = restore.apply_at_once(planned, values["etag"], by=actor(request), **asked)
    except Conflict as conflict:
        return _moved(request, planned, values["state_hash"], conflict)
    if done is None:
        messages.warning(request, "Nothing was changed yet: there is something to know first.")
        return redirect(preview_url(agent.agent_id, values["moment"]))
    return redirect(done)


def preview_url(agent_id: str, moment: str) -> str:
    """Return the address of a restore's preview."""
    return f"{reverse('restore-agent', args=[agent_id])}?{urlencode({'moment': moment})}"


def _moved(request: HttpRequest, planned: restore.Plan, seen_hash: str, conflict: Conflict) -> HttpResponse:
    """Show what the agent has become since somebody looked, with a fresh preview below."""
    seen = history.recorded_state(planned.agent.agent_id, seen_hash)
    context = _preview(planned) | {
        "conflict": str(conflict),
        "moved": None if seen is None else ComparisonView(seen, planned.agent.state_data),
    }
    return render_page(request, "restore_preview.html", context, status=409)


@require_safe
@may("view_restore")
def restore_list(request: HttpRequest) -> HttpResponse:
    """Show who restored what, when and why, and whether it is still in force."""
    page = PageForm(request.GET).page(models.Restore.objects.with_standing().with_undo(), ("-at", "-id"))
    context = {"place": "restores", "page": page}
    return render_page(request, "restore_list.html", context, fragment="_restore_rows.html")


@require_safe
@may("view_restore")
def restore_detail(request: HttpRequest, restore_id: AnyId) -> HttpResponse:
    """Show one restore: what it did, the proof, whether it stands, and its undo."""
    done = _restore_or_404(restore_id)
    agent = models.AgentState.objects.filter(agent_id=done.agent_id).first()
    transition = models.Transition.objects.filter(pk=done.transition_id).first()
    context = {
        "place": "restores",
        "restore": done,
        "agent": agent,
        "etag": agent.etag() if agent else "",
        "standing": restore.verify(done),
        "transition": transition,
        "comparison": ComparisonView(transition.state_before, transition.state_after) if transition else None,
        "undone_by": models.Restore.objects.filter(undoes_id=done.pk).newest_first().first(),
        "undoes": models.Restore.objects.filter(pk=done.undoes_id).first() if done.undoes_id else None,
    }
    return render_page(request, "restore_detail.html", context)


@require_POST
@may("restore_agent")
def undo_restore(request: HttpRequest, restore_id: AnyId) -> HttpResponse:
    """Put back what a restore overwrote, at once; where the agent moved since, show what moved instead."""
    done = _restore_or_404(restore_id)
    moment = moments.AtSnapshot(done.safety_snapshot_id)
    try:
        undone = restore.undo(done, by=actor(request), expected_etag=request.POST.get("etag", ""))
    except Conflict as conflict:
        planned = restore.plan(done.agent_id, moment)
        return _moved(request, planned, done.hash_after, conflict)
    return redirect(undone)


def _restore_or_404(restore_id: AnyId) -> models.Restore:
    done = models.Restore.objects.all().named(restore_id)
    if done is None:
        raise Http404("There is no restore of this id.")
    return done
