"""The history of one path of a state: every value that it had, newest first."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.db.ids import RowId, to_address
from statestore.forms import WalkForm
from statestore.history import Cause, Position
from statestore.jsondiff import predicate
from statestore.jsondiff.diff import MISSING, Missing
from statestore.jsondiff.parsing import Json, equal
from statestore.views.access import past_or_404, require_viewer
from statestore.views.formatting import line, shown_json
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.svg import sparkline


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value that a path had, and its origin."""

    origin: Cause
    value: str
    is_missing: bool
    before: str
    was_missing: bool
    commit: str
    path: str
    note: str
    moment: str


@require_safe
@require_viewer
@json_twin("get_path_history", "path", fixed={"path": ""})
def path_history(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show every value that one path had, newest first, and numbers as a line over time."""
    agent, values = past_or_404(request, agent_id), WalkForm(request.GET).checked
    place = values["place"] or values["path"]
    past = history.path_history(agent, place, start=Position.parse(values["reached"]))
    steps = {change.origin.step_id for change in past.changes if change.origin.step_id}
    commits = history.commits(agent.agent_id, steps)
    context = {
        "place": "agents",
        "agent": agent,
        "etag": agent.etag(),
        "path": values["path"],
        "found": past,
        "now": shown_json(past.value),
        "is_missing": past.value is MISSING,
        "rows": [_value_row(change, commits, values["path"], past.value) for change in past.changes],
        "drawn": sparkline.draw(past, models.now()),
        "reached_at": past.reached.at if past.reached else None,
        "began": predicate.exists(values["path"]),
    }
    return render_page(request, "history/path.html", context, fragment="history/_path_rows.html")


def _value_row(change: history.ValueChange, commits: dict[str, str], path: str, now: Json | Missing) -> ValueRow:
    """Return a row; its `moment` is one at which the path had this value, where it has another one now."""
    can_restore = change.path == path and change.origin.step_id is not None and not _is_same(change.after, now)
    return ValueRow(
        origin=change.origin,
        value=shown_json(change.after),
        is_missing=change.after is MISSING,
        before=shown_json(change.before),
        was_missing=change.before is MISSING,
        commit=commits.get(change.origin.step_id or "", ""),
        path=line(change.path, 200) if change.path != path else "",
        note="unrecorded" if change.origin.step_id is None else "",
        moment=f"transition:{to_address(str(change.origin.step_id))}:after" if can_restore else "",
    )


def _is_same(one: Json | Missing, other: Json | Missing) -> bool:
    if isinstance(one, Missing) or isinstance(other, Missing):
        return one is other
    return equal(one, other)
