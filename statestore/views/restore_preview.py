"""The preview of a restore: what would change, what would be overwritten, what stays, and which paths to restore."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from statestore import history, models, restore
from statestore.access import rights
from statestore.access.scope import Scope
from statestore.db.ids import RowId
from statestore.errors import Conflict, NeedsApproval, ValidationError
from statestore.forms import ReasonForm, RestoreForm, sent
from statestore.history import moments
from statestore.views.access import actor, past_or_404, require, require_viewer
from statestore.views.diff_view import ComparisonView
from statestore.views.formatting import shown_json
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView
from statestore.views.transitions import transition_or_404

LISTED_TRANSITIONS: Final = 5
_PART: Final = re.compile(r"(\d+ fields?) of (.*)", re.DOTALL)


@require_http_methods(["GET", "HEAD", "POST"])
@require_viewer
@json_twin("get_diff", moment="to", fixed={"from": "now"})
def restore_agent(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """GET: preview a restore. POST: preview a selection, save it as a plan, or apply it."""
    agent = past_or_404(request, agent_id)
    if request.method == "POST":
        response: HttpResponse = _decide(request, agent, None)
        return response
    planned = restore.plan(agent.agent_id, moments.parse(request.GET.get("moment", "")))
    return _shown(request, preview(planned, chosen=request.GET.getlist("path")))


@require_http_methods(["GET", "HEAD", "POST"])
@require_viewer
@json_twin("get_transition")
def revert_transition(request: HttpRequest, transition_id: RowId) -> HttpResponse:
    """Revert one transition's changes and keep later ones."""
    transition = transition_or_404(request, transition_id)
    agent = past_or_404(request, transition.agent_id)
    if request.method == "POST":
        response: HttpResponse = _decide(request, agent, transition)
        return response
    planned = restore.plan_revert(agent.agent_id, transition.pk)
    return _shown(request, preview(planned, transition=transition))


@require("restore_agent")
def _decide(request: HttpRequest, agent: models.AgentState, transition: models.Transition | None) -> HttpResponse:
    form = RestoreForm(request.POST)
    if not form.is_valid():
        raise ValidationError("The request is incomplete. Nothing was changed. Go back to the preview and try again.")
    values = form.cleaned_data
    if values["status"] and not rights.may(request.user, "change_agent_status"):
        raise PermissionDenied
    try:
        planned = _planned(form, agent, transition)
    except ValidationError as error:
        if values["etag"] == agent.etag():
            raise
        # What was chosen is not there to be chosen any more, since the agent has moved.
        fresh = restore.plan(agent.agent_id, moments.parse(values["moment"]))
        return moved(request, fresh, values["state_hash"], Conflict(str(error)), form=form, transition=transition)
    is_preview = values["step"] == "preview" or planned.clashes or _is_unseen(planned, values)
    if is_preview and (values["merging"] or values["etag"] == planned.expected_etag):
        return _shown(request, preview(planned, form=form, transition=transition))
    try:
        if is_preview:
            raise restore.Moved(
                "The agent has changed since your preview. Nothing was written. Review the changes below."
            )
        return redirect(_done(request, planned, values))
    except Conflict as conflict:
        return moved(request, planned, values["state_hash"], conflict, form=form, transition=transition)


def _is_unseen(planned: restore.RestorePlan, values: dict[str, object]) -> bool:
    """Return whether the resulting state was composed from this form and not shown yet."""
    return planned.kind in ("part", "edit", "merge") and values["shown"] != models.sha256(planned.text)


def _done(
    request: HttpRequest, planned: restore.RestorePlan, values: Mapping[str, Any]
) -> models.SavedPlan | models.Restore | str:
    """Apply or save the plan, and return where to redirect."""
    reason = values["reason"]
    if values["step"] == "plan":
        kept = restore.save(restore.expecting(planned, values["etag"]), by=actor(request), reason=reason)
        messages.success(request, "Plan saved. It expires in 24 hours. Share the link to this page for review.")
        return kept
    try:
        done = restore.apply_at_once(
            planned, values["etag"], by=actor(request), confirmed=values["confirmed"], reason=reason
        )
    except NeedsApproval:
        kept = restore.save(restore.expecting(planned, values["etag"]), by=actor(request), reason=reason)
        message = "Not restored yet. A second person must approve this plan. Send them the link to this page."
        messages.warning(request, message)
        return kept
    if done is None:
        messages.warning(request, "Not restored yet. Review these warnings first.")
        return preview_url(planned.agent.agent_id, values["moment"])
    return done


def _planned(form: RestoreForm, agent: models.AgentState, transition: models.Transition | None) -> restore.RestorePlan:
    """Return the plan of a form."""
    return restore.setting(_planned_state(form, agent, transition), form.cleaned_data["status"])


def _planned_state(
    form: RestoreForm, agent: models.AgentState, transition: models.Transition | None
) -> restore.RestorePlan:
    if transition is not None:
        return restore.plan_revert(agent.agent_id, transition.pk, sides=form.sides())
    values = form.cleaned_data
    choices: dict[str, Any] = {"paths": form.paths(), "edits": form.edits()}
    if not values["merging"]:
        return restore.plan(agent.agent_id, moments.parse(values["moment"]), **choices)
    base = history.recorded_state(agent.agent_id, values["state_hash"])
    if base is None:
        raise ValidationError(
            "The state you previewed is not recorded, so it cannot be merged. "
            "Nothing was changed. Start again from the current state."
        )
    planned = restore.plan(agent.agent_id, moments.parse(values["moment"]), seen=base, **choices)
    return restore.plan_merge(planned, base, sides=form.sides())


def _shown(request: HttpRequest, context: dict[str, object], *, status: int = 200) -> HttpResponse:
    """Render the preview; paths can be chosen only by users who may restore."""
    can_pick = context["can_pick"] and rights.may(request.user, "restore_agent")
    context = context | {"can_pick": can_pick}
    return render_page(request, "restores/preview.html", context, fragment="restores/_changes.html", status=status)


def preview(
    planned: restore.RestorePlan,
    *,
    form: RestoreForm | None = None,
    transition: models.Transition | None = None,
    chosen: Sequence[str] = (),
) -> dict[str, object]:
    """Return the preview's context: the changes to choose from, the resulting state, and what stays.

    `chosen` are paths that are ticked first, with all that is below them; without any, all changes are.
    """
    agent = planned.agent
    from_moment = planned.kind in ("whole", "part", "edit")
    comparison = ComparisonView(agent.state_data, planned.target.text if from_moment else planned.text)
    can_pick = from_moment and comparison.can_pick
    return {
        "place": "restores",
        "agent": agent,
        "plan": planned,
        "headline": _headline(planned, transition),
        "verb": _verb(planned, comparison),
        "action": _action(agent, transition),
        "transition": transition,
        "etag": planned.expected_etag,
        "state_hash": agent.state_hash(),
        "comparison": comparison,
        "can_pick": can_pick,
        "can_edit": from_moment and not comparison.why_text,
        "result": StateView(planned.text) if planned.kind != "whole" else None,
        "outcome": ComparisonView(agent.state_data, planned.text) if planned.kind in ("part", "edit") else None,
        "reason_form": form or ReasonForm(auto_id=False),
        # A mirror's status is what its framework says.
        "status_choices": [] if models.mirrored_thread(agent, planned.using) else models.AgentStatus.choices,
        "clashes": [_clash(clash) for clash in planned.clashes],
        **(
            _as_asked(form, planned) if form is not None else {"ticked": _below(comparison, chosen) if chosen else None}
        ),
        **_consequences(planned, from_moment=from_moment),
    }


def _below(comparison: ComparisonView, paths: Sequence[str]) -> set[str]:
    """Return the choices among the changes that are at or below some paths."""
    return {
        change.choice
        for change in comparison.changes
        if any(change.pointer == path or change.pointer.startswith(f"{path}/") for path in paths)
    }


def _as_asked(form: RestoreForm, planned: restore.RestorePlan) -> dict[str, object]:
    """Return the form's choices, to be carried over to the next form."""
    is_merge, paths = planned.kind == "merge", form.paths()
    left = {clash.path for clash in planned.clashes}
    return {
        # A merge is made with what the agent was when the person looked, and applies to what it is now.
        **({"state_hash": form.cleaned_data["state_hash"]} if is_merge else {}),
        "is_merge": is_merge,
        "unseen": form.cleaned_data["step"] != "preview" and not planned.clashes,
        "ticked": None if paths is None else set(paths),
        "edits": form.edits(),
        "carried_paths": paths if is_merge and paths else [],
        "carried_edits": form.edits() if is_merge else [],
        "carried_sides": [(path, side) for path, side in form.sides().items() if path not in left],
    }


def _consequences(planned: restore.RestorePlan, *, from_moment: bool) -> dict[str, object]:
    """Return what a restore overwrites, and its side effects that stay."""
    agent_id, since = planned.agent.agent_id, planned.target.at
    later = Scope().transitions().of_agent(agent_id).without_states().newest_first()
    later = later.since(since) if since is not None and from_moment else later.none()
    overwritten = list(later[:LISTED_TRANSITIONS])
    # Most restores overwrite few transitions: then nothing is counted.
    count = len(overwritten) if len(overwritten) < LISTED_TRANSITIONS else later.count()
    return {
        "overwritten": overwritten,
        "overwritten_count": count,
        "aftermath": restore.side_effects_of(agent_id, since),
    }


def _headline(planned: restore.RestorePlan, transition: models.Transition | None) -> str:
    name, label = planned.agent.name or "agent", planned.label
    if transition is not None:
        return f"Revert “{transition.reason or 'a transition'}” on {name}"
    if part := _PART.fullmatch(label):
        return f"Restore {part[1]} of {name} from {part[2]}"
    return f"Restore {name} to {label}"


def _verb(planned: restore.RestorePlan, comparison: ComparisonView) -> str:
    if planned.kind == "revert":
        return "Revert"
    if planned.kind != "whole" or not comparison.total:
        return "Restore"
    return f"Restore {comparison.total} field{'' if comparison.total == 1 else 's'}"


def _action(agent: models.AgentState, transition: models.Transition | None) -> str:
    return reverse("restore-agent", args=[agent.agent_id]) if transition is None else reverse(
        "revert", args=[transition.pk]
    )  # fmt: skip


def _clash(clash: restore.MergeConflict) -> dict[str, str]:
    sides = {"base": clash.base, "ours": clash.ours, "theirs": clash.theirs}
    return {"path": clash.path, **{name: shown_json(value) or "(missing)" for name, value in sides.items()}}


def preview_url(agent_id: str, moment: str) -> str:
    """Return the URL of a restore's preview."""
    return f"{reverse('restore-agent', args=[agent_id])}?{urlencode({'moment': moment})}"


def moved(
    request: HttpRequest,
    planned: restore.RestorePlan,
    seen_hash: str,
    conflict: Conflict,
    *,
    form: RestoreForm | None = None,
    transition: models.Transition | None = None,
) -> HttpResponse:
    """Say that the agent changed since the preview, and show a new preview with the option to merge."""
    agent_id = planned.agent.agent_id
    seen = history.recorded_state(agent_id, seen_hash)
    can_merge = seen is not None and transition is None and (form is not None or planned.kind == "whole")
    if planned.kind in ("part", "edit", "merge") and planned.restore_id is None:
        planned = restore.setting(restore.plan(agent_id, planned.target.moment), planned.status)
    context = preview(planned, transition=transition) | {
        "conflict": str(conflict),
        "moved": None if seen is None else ComparisonView(seen, planned.agent.state_data),
        "merge_from": seen_hash if can_merge else "",
        "asked_paths": sent(form, "path") if form is not None else [],
        "asked_edits": form.edits() if form is not None else [],
        "asked_picking": bool(form is not None and form.cleaned_data["picking"]),
    }
    return _shown(request, context, status=409)
