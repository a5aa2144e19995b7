"""Bisect: when a condition on the state became true."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history
from statestore.db.ids import RowId
from statestore.forms import WalkForm
from statestore.history import Position
from statestore.jsondiff import predicate
from statestore.views.access import agent_or_404, require_viewer
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require_viewer
@json_twin("get_bisect", "condition", when="condition")
@json_twin("get_agent")
def bisect(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Find when a condition on the state became true, and each time that it did."""
    agent, asked = agent_or_404(agent_id), WalkForm(request.GET).checked
    context: dict[str, object] = {
        "place": "agents",
        "agent": agent,
        "typed": asked["condition"],
        "examples": predicate.EXAMPLES,
    }
    if asked["condition"]:
        condition = predicate.parse(asked["condition"])
        found = history.bisect(agent, condition, start=Position.parse(asked["reached"]))
        steps = {flip.origin.step_id for flip in found.flips if flip.origin.step_id}
        context |= {
            "condition": str(condition),
            "found": found,
            "first": found.first,
            "commits": history.commits(agent.agent_id, steps),
            "reached_at": found.reached.at if found.reached else None,
            "is_first_page": not asked["reached"],
        }
    return render_page(request, "history/bisect.html", context, fragment="history/_bisect_rows.html")
