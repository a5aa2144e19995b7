"""The trash: agents that were deleted, and can be restored."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore.forms import PageForm
from statestore.models.querysets import BY_CHANGE
from statestore.views.access import require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require_viewer
@json_twin("list_agents", fixed={"trash": "true"})
def trash(request: HttpRequest) -> HttpResponse:
    """Show the agents in the trash, with who put them there and why."""
    seen = scope(request)
    page = PageForm(request.GET).page(seen.agents().in_trash().without_state().with_size(), BY_CHANGE)
    rows = seen.tombstones().filter(pk__in=[agent.agent_id for agent in page])
    tombstones = {tombstone.pk: tombstone for tombstone in rows}
    context = {
        "place": "trash",
        "page": page,
        "rows": [(agent, tombstones.get(agent.agent_id)) for agent in page],
        "revived": seen.tombstones().revived()[:20],
    }
    return render_page(request, "trash/list.html", context)
