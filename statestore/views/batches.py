"""The fleet: many agents put back to one time, as one batch with one undo."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from statestore import models, restore
from statestore.access.scope import Scope
from statestore.db.ids import RowId, from_address
from statestore.errors import NeedsApproval, ValidationError
from statestore.forms import BatchForm, FleetForm, PageForm, ReasonForm, sent
from statestore.models.agents import AgentQuerySet
from statestore.restore import limits as restore_limits
from statestore.views.access import actor, agent_or_404, require, scope
from statestore.views.diff_view import SIGNS
from statestore.views.formatting import utc
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

LISTED_BATCHES: Final = 10


@require_http_methods(["GET", "HEAD", "POST"])
@require("restore_agent")
@json_twin("preview_batch", "q", "status", "at", "namespace", when="at")
@json_twin("list_batches")
def fleet(request: HttpRequest) -> HttpResponse:
    """GET: preview what putting some agents back to a time would do. POST: keep the chosen ones as a batch."""
    if request.method == "POST":
        return redirect(_prepared(request))
    form, seen = FleetForm(request.GET), scope(request)
    if form.is_valid() and form.cleaned_data["at"] is not None:
        return shown(request, seen.agents(form.agents()), form.cleaned_data["at"], form.scope(), form=form)
    batches = seen.batches().newest_first().with_counts()[:LISTED_BATCHES]
    return render_page(request, "batches/new.html", _filters(form, seen) | {"batches": batches})


def _filters(form: FleetForm, seen: Scope) -> dict[str, object]:
    return {
        "place": "restores",
        "form": form,
        "statuses": models.AgentStatus.choices,
        "namespaces": seen.namespaces_in_use(),
    }


def shown(
    request: HttpRequest, agents: AgentQuerySet, seconds: int, words: str, *, form: FleetForm | None = None
) -> HttpResponse:
    """Show what putting each of some agents back to a time would do. `words` say which agents they are."""
    verdicts = restore.preview_batch(agents, seconds)
    counts = Counter(verdict.kind for verdict in verdicts)
    context = {
        "verdicts": [(verdict, _counts(verdict)) for verdict in verdicts],
        "counts": [(kind, counts[kind]) for kind in restore.KINDS if counts[kind] or kind != "refused"],
        "seconds": seconds,
        "scope": words,
        "reason_form": ReasonForm(auto_id=False),
    }
    moment = utc(seconds)
    chosen = FleetForm({"at": f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""}) if form is None else form
    return render_page(request, "batches/new.html", _filters(chosen, scope(request)) | context)


def _counts(verdict: restore.BatchPreview) -> tuple[tuple[str, str, int], ...]:
    """Return how much would change as (kind, sign, number)."""
    if verdict.extent is None:
        return ()
    numbers = verdict.extent.counts
    return tuple((kind.value, SIGNS[kind], numbers[kind]) for kind in SIGNS if kind in numbers)


def _prepared(request: HttpRequest) -> models.Batch:
    form = BatchForm(request.POST)
    values = form.checked
    chosen = [_seen(request, text) for text in sent(form, "agent")]
    if not scope(request).is_unrestricted:
        scope(request).agent_ids([agent_id for agent_id, _ in chosen])
    return restore.prepare(chosen, values["at"], by=actor(request), reason=values["reason"], scope=values["scope"])


def _seen(request: HttpRequest, text: str) -> tuple[str, str]:
    """Return the agent's id and the etag that was seen, which a form names as `etag:address`."""
    etag, _, address = text.partition(":")
    try:
        row_id = from_address(address)
    except ValueError:
        raise ValidationError("A selected agent has an invalid id. Nothing was changed.") from None
    return (row_id if isinstance(row_id, str) else agent_or_404(request, row_id).agent_id), etag


@require_safe
@require("view_restore")
@json_twin("get_batch")
def batch_detail(request: HttpRequest, batch_id: RowId) -> HttpResponse:
    """Show a batch: what it would do or did to each agent, and its undo."""
    batch = _batch_or_404(request, batch_id)
    items = batch.items.using(scope(request).using).all()
    counts = items.counts_by_result()
    context = {
        "place": "restores",
        "batch": batch,
        "counts": sorted(counts.items()),
        "waiting": counts.get("", 0),
        "has_begun": any(result for result in counts),
        "undone_by": scope(request).batches().undoing(batch.pk).first(),
        "is_own": batch.actor == request.user.get_username(),
        "needs_approval": restore.batch_needs_approval(batch),
        "page": PageForm(request.GET).page(items, ("id",)),
    }
    return render_page(request, "batches/detail.html", context, fragment="batches/_rows.html")


@require_POST
@require("restore_agent")
def apply_batch(request: HttpRequest, batch_id: RowId) -> HttpResponse:
    """Apply what waits of a batch, agent by agent."""
    batch = _batch_or_404(request, batch_id)
    try:
        counts = restore.apply_batch(batch, by=actor(request), budget_seconds=restore_limits.REQUEST_SECONDS)
    except NeedsApproval as error:
        messages.warning(request, str(error))
        return redirect(batch)
    return _applied(request, batch, counts)


def _applied(request: HttpRequest, batch: models.Batch, counts: Mapping[str, int]) -> HttpResponse:
    if left := counts.get("", 0):
        messages.warning(request, f"{left} agents are still pending. Continue with them.")
    else:
        messages.success(request, f"{counts.get('done', 0)} agents restored.")
    return redirect(batch)


@require_POST
@require("restore_agent")
def approve_batch(request: HttpRequest, batch_id: RowId) -> HttpResponse:
    """Approve another user's batch."""
    batch = restore.approve_batch(_batch_or_404(request, batch_id), by=actor(request))
    messages.success(request, "Approved. Any operator can apply it now.")
    return redirect(batch)


@require_POST
@require("restore_agent")
def undo_batch(request: HttpRequest, batch_id: RowId) -> HttpResponse:
    """Put back, at once, what a batch overwrote and what still stands."""
    return _applied(request, *restore.undo_batch(_batch_or_404(request, batch_id), by=actor(request)))


def _batch_or_404(request: HttpRequest, batch_id: RowId) -> models.Batch:
    batch: models.Batch | None = scope(request).batches().named(batch_id)
    if batch is None:
        raise Http404("Batch not found.")
    return batch
