"""Bisect: when a condition on the state became true."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history
from statestore.db.ids import RowId
from statestore.forms import WalkForm
from statestore.history import Position
from statestore.jsondiff import predicate
from statestore.views.access import past_or_404, require_viewer
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require_viewer
@json_twin("get_bisect", "condition", when="condition")
@json_twin("get_agent")
def bisect(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Find when a condition on the state became true, and each time that it did."""
    agent, values = past_or_404(request, agent_id), WalkForm(request.GET).checked
    context: dict[str, object] = {
        "place": "agents",
        "agent": agent,
        "typed": values["condition"],
        "examples": predicate.EXAMPLES,
    }
    if values["condition"]:
        condition = predicate.parse(values["condition"])
        result = history.bisect(agent, condition, start=Position.parse(values["reached"]))
        steps = {flip.origin.step_id for flip in result.flips if flip.origin.step_id}
        context |= {
            "condition": str(condition),
            "found": result,
            "first": result.first,
            "commits": history.commits(agent.agent_id, steps),
            "reached_at": result.reached.at if result.reached else None,
            "is_first_page": not values["reached"],
        }
    return render_page(request, "history/bisect.html", context, fragment="history/_bisect_rows.html")
