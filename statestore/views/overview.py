"""Overview: the fleet at a glance."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import models
from statestore.db import pagination
from statestore.forms import OverviewForm
from statestore.models.agents import AgentQuerySet, in_order
from statestore.models.querysets import BY_CHANGE
from statestore.operations import doctor
from statestore.sources.naming import mirrors
from statestore.views.access import require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.moment_names import moment_names
from statestore.views.svg import activity

ROWS = 8
WEEK_SECONDS = 7 * 24 * 3600


@require_safe
@require_viewer
@json_twin("get_health")
def overview(request: HttpRequest) -> HttpResponse:
    """Show agents by status, agents in trouble, latest changes, activity and restores."""
    now = models.now()
    seen, range_name = scope(request), OverviewForm(request.GET).checked["range"] or "day"
    recent = seen.agents().walked().without_state().with_last_reason()
    restores = list(seen.restores().newest_first().with_standing().with_undo()[:ROWS])
    changed, failed = _first(recent), _first(recent.walked_with_status("failed"))
    silent = _first(recent.silent_since(now - settings.SILENT_AFTER_SECONDS))
    context = {
        "place": "overview",
        "counts": in_order(seen.agents().alive().counts_by_status()),
        "changed": changed,
        "failed": failed,
        "silent": silent,
        "mirrors": mirrors(seen.using, (agent.agent_id for agent in (*changed, *failed, *silent))),
        "chart": activity.draw(now, seen, range_name),
        "range": range_name,
        "ranges": [(name, label, f"?range={name}") for name, label, _, _ in activity.RANGES],
        # They concern the whole store, and name its files and agents.
        "findings": doctor.troubles() if seen.is_unrestricted else [],
        "restores": restores,
        "moment_names": moment_names(request, (row.moment for row in restores)),
        "expiring": seen.snapshots()
        .expiring_between(now, now + WEEK_SECONDS)
        .without_state()
        .order_by("expires_at")[:ROWS],
    }
    return render_page(request, "overview.html", context)


def _first(agents: AgentQuerySet) -> list[models.AgentState]:
    """Return the agents that changed last."""
    return pagination.page(agents, BY_CHANGE, size=ROWS).rows
