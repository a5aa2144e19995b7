"""Blame: which transition set each value of a state last."""

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import history
from statestore.db.ids import RowId
from statestore.history import Cause
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.parsing import Json
from statestore.views.access import past_or_404, require_viewer
from statestore.views.formatting import shown_json
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

SHOWN_LEAVES: Final = 2000


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
    """Show which transition set each value of the state last. Further requests look up the rest."""
    agent, wanted = past_or_404(request, agent_id), request.GET.get("find", "").strip().lower()
    context: dict[str, object] = {"place": "agents", "agent": agent, "etag": agent.etag(), "find": wanted}
    try:
        answer = history.blame(agent)
    except parsing.NotJson as error:
        return render_page(request, "history/blame.html", context | {"why_raw": error.reason})
    commits = history.commits(agent.agent_id, {origin.step_id for origin in answer.origins.values() if origin.step_id})
    state = parsing.parse(agent.state_data)
    paths = [path for path in pointer.leaf_paths(state) if wanted in path.lower()]
    context |= {
        "found": answer,
        "sort": request.GET.get("sort", ""),
        "leaves": [_leaf(state, path, answer, commits) for path in _sorted(paths, answer, request)[:SHOWN_LEAVES]],
        "total": len(paths),
        "unknown": sum(1 for _ in answer.unknown_paths()),
    }
    return render_page(request, "history/blame.html", context, fragment="history/_blame_rows.html")


def _sorted(paths: list[str], answer: history.Blame, request: HttpRequest) -> list[str]:
    """Return the paths in the state's own order, or the last set first."""
    if request.GET.get("sort") != "newest":
        return paths
    return sorted(paths, key=lambda path: -answer.origins[path].at if path in answer.origins else 0)


def _leaf(state: Json, path: str, answer: history.Blame, commits: dict[str, str]) -> Leaf:
    origin = answer.origins.get(path)
    commit = commits.get(origin.step_id, "") if origin and origin.step_id else ""
    return Leaf(path, shown_json(pointer.resolve(state, path)), origin, commit)
