"""Questions to an agent's past: who set each value, what one path was over time, when a condition became true."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history
from statestore.db.ids import RowId
from statestore.forms import WalkForm
from statestore.history import Cause, Position
from statestore.jsondiff import parsing, pointer, predicate
from statestore.jsondiff.diff import MISSING, Missing
from statestore.jsondiff.parsing import Json
from statestore.views.access import agent_or_404, require_viewer
from statestore.views.formatting import line, visible
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

VALUE_CHARACTERS: Final = 1000
SPARK_WIDTH: Final = 240
SPARK_HEIGHT: Final = 40
SHOWN_LEAVES: Final = 2000
MOST_DRAWN: Final = 1e300


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a state, with what set it."""

    path: str
    value: str
    origin: Cause | None
    commit: str


@require_safe
@require_viewer
@json_twin("get_blame")
def blame(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show for each value of the state which transition set it last; what is not found yet is read on and on."""
    agent, word = agent_or_404(agent_id), request.GET.get("find", "").strip().lower()
    context: dict[str, Any] = {"place": "agents", "agent": agent, "etag": agent.etag(), "find": word}
    try:
        found = history.blame(agent)
    except parsing.NotJson as error:
        return render_page(request, "history/blame.html", context | {"why_raw": error.reason})
    commits = history.commits(agent.agent_id, {origin.step_id for origin in found.origins.values() if origin.step_id})
    state = parsing.parse(agent.state_data)
    paths = [path for path in pointer.leaf_paths(state) if word in path.lower()]
    context |= {
        "found": found,
        "sort": request.GET.get("sort", ""),
        "leaves": [_leaf(state, path, found, commits) for path in _sorted(paths, found, request)[:SHOWN_LEAVES]],
        "total": len(paths),
        "unknown": sum(1 for _ in found.unknown_paths()),
    }
    return render_page(request, "history/blame.html", context, fragment="history/_blame_rows.html")


def _sorted(paths: list[str], found: history.Blame, request: HttpRequest) -> list[str]:
    """Return the paths as asked for: in the state's own order, or the last set first."""
    if request.GET.get("sort") != "newest":
        return paths
    return sorted(paths, key=lambda path: -found.origins[path].at if path in found.origins else 0)


def _leaf(state: Json, path: str, found: history.Blame, commits: dict[str, str]) -> Leaf:
    origin = found.origins.get(path)
    commit = commits.get(origin.step_id, "") if origin and origin.step_id else ""
    return Leaf(path, shown(pointer.resolve(state, path)), origin, commit)


def shown(value: Json | Missing) -> str:
    """Return a value as JSON in one visible line, cut where it is long."""
    if isinstance(value, Missing):
        return ""
    text = parsing.dump(value, indent=None)
    return visible(text[:VALUE_CHARACTERS]) + ("…" if len(text) > VALUE_CHARACTERS else "")


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value that a path had, from its origin on."""

    origin: Cause
    value: str
    is_missing: bool
    before: str
    was_missing: bool
    commit: str
    path: str
    note: str


@require_safe
@require_viewer
@json_twin("get_path_history", "path", fixed={"path": ""})
def path_history(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show every value that one path had, newest first, and a line of them where they are numbers."""
    agent, asked = agent_or_404(agent_id), WalkForm(request.GET).checked
    place = asked["place"] or asked["path"]
    found = history.path_history(agent, place, start=Position.parse(asked["reached"]))
    steps = {change.origin.step_id for change in found.changes if change.origin.step_id}
    commits = history.commits(agent.agent_id, steps)
    context = {
        "place": "agents",
        "agent": agent,
        "etag": agent.etag(),
        "path": asked["path"],
        "found": found,
        "now": shown(found.value),
        "is_missing": found.value is MISSING,
        "rows": [_value_row(change, commits, asked["path"]) for change in found.changes],
        "spark": _spark(found),
        "reached_at": found.reached.at if found.reached else None,
        "began": predicate.exists(asked["path"]),
    }
    return render_page(request, "history/path.html", context, fragment="history/_path_rows.html")


def _value_row(change: history.ValueChange, commits: dict[str, str], path: str) -> ValueRow:
    return ValueRow(
        origin=change.origin,
        value=shown(change.after),
        is_missing=change.after is MISSING,
        before=shown(change.before),
        was_missing=change.before is MISSING,
        commit=commits.get(change.origin.step_id or "", ""),
        path=line(change.path, 200) if change.path != path else "",
        note="unrecorded" if change.origin.step_id is None else "",
    )


@dataclass(frozen=True, slots=True)
class Spark:
    """The numbers that a path had, as a line over time."""

    points: str
    least: str
    most: str
    count: int


def _spark(found: history.PathHistory) -> Spark | None:
    """Return the line of the numbers, None for fewer than two."""
    seen = [(change.origin.at, change.after) for change in reversed(found.changes)]
    if found.changes:
        seen.insert(0, (found.changes[-1].origin.after or found.changes[-1].origin.at, found.changes[-1].before))
    numbers = [(at, float(value)) for at, value in seen if isinstance(value, int | float) and _is_drawable(value)]
    if len(numbers) < 2:
        return None
    least, most = min(n for _, n in numbers), max(n for _, n in numbers)
    start, end = numbers[0][0], numbers[-1][0]
    points = " ".join(
        f"{SPARK_WIDTH * (at - start) / max(end - start, 1):.1f},"
        f"{SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * (number - least) / ((most - least) or 1):.1f}"
        for at, number in numbers
    )
    return Spark(points, f"{least:g}", f"{most:g}", len(numbers))


def _is_drawable(value: float) -> bool:
    return not isinstance(value, bool) and abs(value) < MOST_DRAWN


@require_safe
@require_viewer
@json_twin("get_bisect", "condition", when="condition")
@json_twin("get_agent")
def bisect(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Find when a condition on the state became true, and each time that it did."""
    agent, asked = agent_or_404(agent_id), WalkForm(request.GET).checked
    context: dict[str, Any] = {
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
