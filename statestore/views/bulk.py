"""Actions on several agents: what will happen, the action, what it did, and its undo."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from statestore import models
from statestore.access.scope import Scope
from statestore.agents import bulk
from statestore.agents.bulk import Outcome
from statestore.db.ids import RowId, from_address
from statestore.errors import ValidationError
from statestore.forms import AgentFilterForm, BulkForm, sent
from statestore.models.agents import ACTIVE, in_order
from statestore.text.natural_order import natural
from statestore.views import batches
from statestore.views.access import require, require_viewer, scope, store
from statestore.views.htmx import render_page

PERMISSIONS: Final = {"snapshot": "snapshot_agent", "status": "change_agent_status", "restore": "restore_agent"}
SHOWN_AGENTS: Final = 20
SHOWN_REFUSALS: Final = 10


@dataclass(frozen=True, slots=True)
class Chosen:
    """The agents that an action is about, in the order of their ids, and how a form names them again."""

    agent_ids: list[str]
    every: bool
    filter: str


@require_POST
@require_viewer
def bulk_action(request: HttpRequest) -> HttpResponse:
    """Show what an action on several agents will do; with `confirmed`, do it."""
    form = BulkForm(request.POST)
    values = form.cleaned_data if form.is_valid() or form.is_asked_again else form.checked
    acting = require(PERMISSIONS[values["action"]])(store)(request)
    chosen = _chosen(request, form)
    if not values["confirmed"] or form.errors:
        return _asked(request, form, chosen, status=422 if form.errors else 200)
    if values["action"] == "restore":
        agents = scope(request).agents().alive().filter(agent_id__in=chosen.agent_ids).without_state()
        scope_words = f"{len(chosen.agent_ids):,} selected agents"
        return batches.shown(request, agents, values["at"], scope_words)
    left = [agent_id for agent_id in chosen.agent_ids if agent_id > values["after"]]
    if values["action"] == "snapshot":
        outcomes = bulk.snapshot_in_time(acting.using, left, by=acting.actor)
        _tell(request, outcomes, "Took snapshots of")
        return _continued(request, form, chosen, outcomes, left) or redirect("agents")
    group = str(values["group"] or uuid.uuid4())
    started_at = values["started_at"] or models.now()
    outcomes = bulk.change_status_in_time(
        acting.using, left, values["status"], by=acting.actor, reason=values["reason"], group=group
    )
    _tell(request, outcomes, f"Status set to {values['status']} for")
    done = reverse("bulk-done", args=[started_at, group])
    unfinished = _continued(request, form, chosen, outcomes, left, group=group, started_at=started_at)
    return unfinished or redirect(done)


def _chosen(request: HttpRequest, form: BulkForm) -> Chosen:
    """Return the agents that a form names. Raises ValidationError for none, and for too many."""
    seen, values = scope(request), form.cleaned_data
    if not values["every"]:
        ids = seen.agent_ids([_row_id(address) for address in sent(form, "agent")])
        return Chosen(sorted(bulk.selected(ids)), False, "")
    agents = seen.agents(_filter(values["filter"]).chosen())
    return Chosen(bulk.matching(agents), True, values["filter"])


def _filter(text: str) -> AgentFilterForm:
    form = AgentFilterForm(QueryDict(text))
    if not form.is_valid():
        raise ValidationError("The filter is not valid. Nothing was changed. Go back to the list and choose again.")
    return form


def _row_id(address: str) -> RowId:
    try:
        return from_address(address)
    except ValueError:
        raise ValidationError("A selected agent has an invalid id. Nothing was changed.") from None


def _asked(
    request: HttpRequest, form: BulkForm, chosen: Chosen, more: Mapping[str, object] | None = None, *, status: int = 200
) -> HttpResponse:
    """Show what will happen, and to which agents."""
    seen, values = scope(request), form.cleaned_data
    counts, shown = _counts(seen, chosen), _shown(seen, chosen)
    context: dict[str, object] = {
        "place": "agents",
        "form": form,
        "action": values["action"],
        "chosen": chosen,
        "addresses": [] if chosen.every else sent(form, "agent"),
        "number": len(chosen.agent_ids),
        "counts": [(word, number) for word, number in in_order(counts) if number],
        "active": sum(number for word, number in counts.items() if word in ACTIVE),
        "shown": shown,
    }
    return render_page(request, "agents/bulk.html", context | dict(more or {}), status=status)


def _shown(seen: Scope, chosen: Chosen) -> list[models.AgentState]:
    """Return the first of the agents, as people count."""
    ids = sorted(chosen.agent_ids, key=natural)[:SHOWN_AGENTS]
    agents = seen.agents().filter(agent_id__in=ids).without_state()
    return sorted(agents, key=lambda agent: natural(agent.agent_id))


def _counts(seen: Scope, chosen: Chosen) -> dict[str, int]:
    if chosen.every:
        return seen.agents(_filter(chosen.filter).chosen()).counts_by_status()
    return seen.agents().filter(agent_id__in=chosen.agent_ids).counts_by_status()


def _continued(
    request: HttpRequest,
    form: BulkForm,
    chosen: Chosen,
    outcomes: Sequence[Outcome],
    left: Sequence[str],
    **more: object,
) -> HttpResponse | None:
    """Return the page that continues with the agents that one request did not reach, None if it reached all."""
    waiting = len(left) - len(outcomes)
    if not waiting:
        return None
    return _asked(request, form, chosen, {"waiting": waiting, "after": outcomes[-1].agent_id, **more})


def _tell(request: HttpRequest, outcomes: Sequence[Outcome], what: str) -> None:
    """Say for how many agents an action worked, and why not for the others."""
    refused = [outcome for outcome in outcomes if outcome.refusal]
    done = len(outcomes) - len(refused)
    messages.success(request, f"{what} {done:,} agent{'' if done == 1 else 's'}.")
    for outcome in refused[:SHOWN_REFUSALS]:
        messages.error(request, f"{outcome.agent_id[:60]}: {outcome.refusal}")
    if len(refused) > SHOWN_REFUSALS:
        messages.error(request, f"{len(refused) - SHOWN_REFUSALS:,} more were refused.")


@require_http_methods(["GET", "HEAD", "POST"])
@require_viewer
def bulk_done(request: HttpRequest, started_at: int, group: uuid.UUID) -> HttpResponse:
    """GET: show which statuses an action changed. POST: set them back where they are still the same."""
    seen = scope(request)
    entries = seen.audit().by(request.user.get_username())
    changes = bulk.changes_of(entries, str(group), started_at)
    if not changes and request.method != "POST":
        raise Http404("No status was changed by this action, or it was another person's.")
    if request.method == "POST":
        acting = require("change_agent_status")(store)(request)
        undo, now = str(uuid.uuid4()), models.now()
        outcomes = bulk.undo_group(acting.using, changes, by=acting.actor, group=undo)
        _tell(request, outcomes, "Status set back for")
        if left := len(changes) - len(outcomes):
            messages.warning(request, f"{left:,} agents are left. Undo again to continue with them.")
            return redirect("bulk-done", started_at=started_at, group=group)
        return redirect("bulk-done", started_at=now, group=undo)
    shown = changes[:SHOWN_AGENTS]
    agents = seen.agents().filter(agent_id__in=[change.agent_id for change in shown])
    names = dict(agents.values_list("agent_id", "name"))
    context = {
        "place": "agents",
        "changes": changes,
        "shown": [(change, names.get(change.agent_id) or change.agent_id) for change in shown],
    }
    return render_page(request, "agents/bulk_done.html", context)
