"""Compare: any two moments of one agent or of two; swapped, with ignored paths, all in the URL."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.db.ids import from_address, to_address
from statestore.errors import ValidationError
from statestore.forms import CompareForm
from statestore.jsondiff import pointer
from statestore.views.access import past_or_404, require_viewer
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView

MAX_IGNORED = 50
OFFERED_STOPS = 15


@require_safe
@require_viewer
@json_twin("get_diff", when="left", row="left", before="from", after="to", right="other", fixed={"from": "now"})
@json_twin("list_agents")
def compare(request: HttpRequest) -> HttpResponse:
    """Show how two moments differ; without a second agent both are of the first."""
    values = CompareForm(request.GET).checked
    context: dict[str, object] = {"place": "agents", "asked": values, "layout": values["layout"] or "unified"}
    if values["left"]:
        left = _agent(request, values["left"])
        right = _agent(request, values["right"]) if values["right"] else left
        ignored = _ignored(request.GET.getlist("ignore"))
        before = history.state_at(left.agent_id, values["before"])
        after = history.state_at(right.agent_id, values["after"])
        context |= {
            "left": left,
            "right": right,
            "before": before,
            "after": after,
            "ignored": [(path, _url(request, drop=path)) for path in ignored],
            "swap": _swapped(request, left, right),
            "comparison": ComparisonView(before.text, after.text, ignored=ignored),
            "hashes": [StateView(known.text).hash for known in (before, after)],
            "stops": _offered(left),
            "other_stops": _offered(right) if right != left else None,
        }
    return render_page(request, "history/compare.html", context)


def _agent(request: HttpRequest, address: str) -> models.AgentState:
    try:
        return past_or_404(request, from_address(address.strip()))
    except ValueError:
        raise ValidationError(f"“{address[:80]}” is not a valid agent address.") from None


def _ignored(paths: list[str]) -> list[str]:
    """Return the ignored paths, each once. Raises ValidationError for an invalid path."""
    if len(paths) > MAX_IGNORED:
        raise ValidationError(f"At most {MAX_IGNORED} paths can be ignored.")
    for path in paths:
        try:
            pointer.split(path)
        except ValueError as error:
            raise ValidationError(f"“{path[:80]}” cannot be ignored: {error}") from None
    return [path for path in dict.fromkeys(paths) if path]


def _url(request: HttpRequest, *, drop: str) -> str:
    """Return the page's URL with one path no longer ignored."""
    parameters = request.GET.copy()
    parameters.setlist("ignore", [path for path in parameters.getlist("ignore") if path != drop])
    return f"?{parameters.urlencode()}"


def _swapped(request: HttpRequest, left: models.AgentState, right: models.AgentState) -> str:
    parameters = request.GET.copy()
    parameters["left"], parameters["right"] = to_address(right.agent_id), to_address(left.agent_id)
    parameters["before"], parameters["after"] = request.GET.get("after", "now"), request.GET.get("before", "now")
    return f"?{parameters.urlencode()}"


def _offered(agent: models.AgentState) -> list[tuple[str, str, int]]:
    """Return the newest moments of an agent to choose from: (moment, label, time)."""
    entries, _ = history.timeline(agent.agent_id, limit=OFFERED_STOPS)
    return [
        (str(stop.moment), f"snapshot {stop.row}" if stop.kind == "snapshot" else f"after {stop.row}", int(stop.at))
        for stop in entries
    ]
