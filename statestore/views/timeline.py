"""The timeline: an agent's past on one axis, and any moment of it with its changes."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.db.ids import RowId
from statestore.errors import NotFound
from statestore.forms import StateForm, TimelineForm
from statestore.history import limits as history_limits
from statestore.history import moments
from statestore.views.access import past_or_404, require_viewer
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView
from statestore.views.svg import lanes
from statestore.views.svg.axes import time_ticks

LIST_ROWS: Final = 30


@require_safe
@require_viewer
@json_twin("get_timeline")
def agent_timeline(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show the lanes, the slider, the selected moment and the list of records."""
    agent, values = past_or_404(request, agent_id), TimelineForm(request.GET).checked
    past = history.Past(agent.agent_id)
    if agent.is_gone and isinstance(values["moment"], moments.Now):
        # It has no present: the timeline begins with the last that is known.
        last = history.stop_at(agent, values["moment"], past=past)
        values["moment"] = last.moment if last is not None else values["moment"]
    span = history.span_of(agent, values["start"], values["end"])
    context: dict[str, Any] = {"place": "agents", "agent": agent, "etag": agent.etag()}
    context |= _axis(agent, span, {name: values[name] for name in ("start", "end")})
    context |= _moment(agent, values["moment"], past, StateForm(request.GET).checked)
    context["near"] = _near(span, context["stop"])
    if not getattr(request, "htmx", None):
        cursor = request.GET.get("older", "")
        entries, older = history.timeline(agent.agent_id, cursor=cursor, limit=LIST_ROWS, past=past)
        context |= {"entries": history.folded(entries), "older": older}
    return render_page(request, "history/timeline.html", context, fragment="history/_moment.html")


def _axis(agent: models.AgentState, span: history.Span, ends: dict[str, int | None]) -> dict[str, object]:
    """Return the lanes, and the links that move and widen their time range."""
    kept = {name: value for name, value in ends.items() if value is not None}
    half = (span.end - span.start) // 2
    return {
        "span": span,
        "kept": kept,
        "lanes": [lane for lane in lanes.draw(agent, span, kept) if not lane.is_empty],
        "drawing": lanes.VIEW_BOX,
        "ticks": time_ticks(span.start, span.end + 1),
        # The last column may reach beyond the present.
        "shown_end": max(span.start, min(span.end, models.now())),
        "most": history_limits.LANE_COLUMN_ROWS,
        "earlier": span.moved(-half),
        "later": span.moved(half),
    }


def _near(span: history.Span, stop: history.Record | None) -> tuple[int, int] | None:
    """Return the quarter of the span around a stop, or None if that would be no narrower."""
    quarter = (span.end - span.start) // 4
    if stop is None or quarter < history_limits.LANE_COLUMNS // 4:
        return None
    at = min(max(int(stop.at), span.start), span.end)
    return max(at - quarter // 2, 0), at + quarter // 2


def _moment(
    agent: models.AgentState, moment: moments.Moment, past: history.Past, asked: dict[str, object]
) -> dict[str, object]:
    """Return the state at a moment, what changed there, and the records on either side."""
    stop = history.stop_at(agent, moment, past=past)
    is_now = isinstance(moment, moments.Now)
    older: history.Record | None = None
    newer: history.Record | None = None
    if is_now and stop is not None and stop.kind != "now":
        # Nothing has changed since the last record: going back from now leads to it.
        older = stop
    elif stop is not None:
        older, newer = history.neighbours(agent, stop, past=past)
    try:
        known = history.state_at(agent.agent_id, moment)
    except NotFound as error:
        return {"moment": str(moment), "stop": stop, "nothing": str(error), "newer_stop": newer}
    previous = _previous(agent, stop, older)
    return {
        "moment": str(moment),
        "known": known,
        "stop": stop,
        "is_now": is_now,
        "older_stop": older,
        "newer_stop": newer,
        "state": StateView(known.text, agent.agent_id, str(moment), asked=asked),
        "comparison": None if previous is None else ComparisonView(previous, known.text),
    }


def _previous(agent: models.AgentState, stop: history.Record | None, older: history.Record | None) -> str | None:
    """Return the state before a record, None before the first; where the last record still stands, that of it."""
    if stop is not None and older is not stop and stop.kind in ("transition", "captured"):
        return str(stop.row.state_before)
    return history.state_at(agent.agent_id, older.moment).text if older is not None else None
