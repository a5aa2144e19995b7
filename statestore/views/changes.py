"""Changes: what changed across agents in a range of time, how much, and where most."""

from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.access import rights
from statestore.access.scope import Scope
from statestore.db.ids import url_of
from statestore.forms import ChangesForm
from statestore.history.across import KINDS, Asked
from statestore.models.querysets import Intervals
from statestore.views.access import require_viewer, scope
from statestore.views.diff_view import SIGNS, ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.svg.bars import Chart, chart

# Larger states are not compared for a list.
COMPARED_BYTES: Final = 256 * 1024
CHART_BARS: Final = 48


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as a row. `counts` are (kind, sign, number), `largest` the part of the state that changed most."""

    record: history.ChangeRecord
    name: str
    url: str
    what: str
    counts: tuple[tuple[str, str, int], ...] = ()
    largest: str = ""


@require_safe
@require_viewer
@json_twin("list_changes", "start", "end", "kind", "agent", "namespace", "reason", "person", times=["start", "end"])
def change_list(request: HttpRequest) -> HttpResponse:
    """Show what changed across agents, newest first, filtered by the query string."""
    form, seen = ChangesForm(request.GET), scope(request)
    context: dict[str, object] = {
        "place": "changes",
        "form": form,
        "kinds": KINDS,
        "namespaces": seen.namespaces_in_use(),
    }
    if form.is_valid():
        asked = replace(form.asked(), with_edits=rights.may(request.user, "view_auditentry"))
        values = form.cleaned_data
        page = history.changes_across(seen, asked, cursor=values["cursor"], size=values["size"])
        context |= {"page": page, "asked": asked, "rows": _shown(seen, page.rows)}
        context |= _neighbours(request, asked.start, asked.end)
        if not getattr(request, "htmx", None):
            context["chart"] = _chart(request, seen, asked)
    return render_page(
        request, "changes/list.html", context, fragment="changes/_rows.html", status=200 if form.is_valid() else 422
    )


def _chart(request: HttpRequest, seen: Scope, asked: Asked) -> Chart:
    """Return the chart of the range: each bar leads to its own stretch, with the same filters."""
    seconds = max(1, -(-(asked.end + 1 - asked.start) // CHART_BARS))
    among = Intervals(asked.start, seconds, max(1, -(-(asked.end + 1 - asked.start) // seconds)))
    kept = {name: str(value) for name, value in request.GET.items() if name not in ("start", "end", "cursor")}
    page = f"?{urlencode(kept)}{'&' if kept else ''}"
    return chart(
        among, {"changes": history.counts_across(seen, asked, among)}, [("changes", "Changes", 48)], now=models.now(),
        url_of=lambda start, end: f"{page}start={start}&end={end}", zoom=f"{page}start={{start}}&end={{end}}",
    )  # fmt: skip


def _neighbours(request: HttpRequest, start: int, end: int) -> dict[str, object]:
    """Return the links to the ranges before and after this one, of the same length; none into the future."""
    width = end - start + 1
    kept: dict[str, str | int] = {
        name: str(value) for name, value in request.GET.items() if name not in ("start", "end", "cursor")
    }
    earlier = urlencode(kept | {"start": max(0, start - width), "end": max(0, start - 1)})
    later = urlencode(kept | {"start": end + 1, "end": end + width}) if end < models.now() - 1 else ""
    return {"earlier": f"?{earlier}", "later": f"?{later}" if later else ""}


def _shown(seen: Scope, records: list[history.ChangeRecord]) -> list[Shown]:
    names = dict(seen.agents().filter(agent_id__in={one.agent_id for one in records}).values_list("agent_id", "name"))
    states = _small_states(seen, records)
    return [_row(one, str(names.get(one.agent_id, "")), states) for one in records]


def _small_states(seen: Scope, records: list[history.ChangeRecord]) -> dict[str, ComparisonView]:
    """Return the comparisons of those transitions whose states are small enough for a list."""
    rows = [one.row for one in records if one.source == "transition"]
    small = [row.pk for row in rows if max(row.size_before, row.size_after) <= COMPARED_BYTES]
    loaded = seen.transitions().filter(pk__in=small)
    return {str(row.pk): ComparisonView(row.state_before, row.state_after) for row in loaded}


def _row(record: history.ChangeRecord, name: str, states: dict[str, ComparisonView]) -> Shown:
    comparison = states.get(str(record.row.pk)) if record.source == "transition" else None
    noun, row_id = record.page or ("", "")
    return Shown(
        record, name,
        url=url_of(noun, row_id) if noun else "",
        what=record.text or "without a reason",
        counts=_counts(comparison) if comparison else (),
        largest=comparison.largest if comparison else "",
    )  # fmt: skip


def _counts(comparison: ComparisonView) -> tuple[tuple[str, str, int], ...]:
    numbers = {kind: getattr(comparison, kind.value) for kind in SIGNS}
    return tuple((kind.value, SIGNS[kind], number) for kind, number in numbers.items() if number)
