"""Where a page's data is as JSON: the call with the same rows, filtered the same."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from statestore.db.ids import RowId, from_address, to_address


class _Call(NamedTuple):
    """A call of the API: its name, the part of the page's address that is its id, and what else it is asked."""

    name: str
    id_name: str = ""
    kept: Mapping[str, str] = {}
    parts: Mapping[str, str] = {}
    fixed: Mapping[str, str] = {}


# name of the page's URL: the call. `kept` maps the page's parameters to the call's, `parts` those of its address.
CALLS: Final[dict[str, _Call]] = {
    "overview": _Call("get_health"),
    "agents": _Call("list_agents", kept={"q": "q", "status": "status", "namespace": "namespace", "sort": "sort"}),
    "agent": _Call("get_agent", "agent_id"),
    "agent-state": _Call("get_state", "agent_id", kept={"moment": "moment"}),
    "agent-branch": _Call("get_state", "agent_id", kept={"moment": "moment"}),
    "timeline": _Call("get_timeline", "agent_id"),
    "blame": _Call("get_blame", "agent_id"),
    "path-history": _Call("get_path_history", "agent_id", kept={"path": "path"}, fixed={"path": ""}),
    "bisect": _Call("get_bisect", "agent_id", kept={"condition": "condition"}),
    "restore-agent": _Call("get_diff", "agent_id", kept={"moment": "to"}, fixed={"from": "now"}),
    "fork": _Call("get_state", "agent_id", kept={"moment": "moment"}),
    "compare": _Call("list_agents"),
    "transition": _Call("get_transition", "transition_id"),
    "revert": _Call("get_transition", "transition_id"),
    "snapshots": _Call("list_snapshots"),
    "snapshot": _Call("get_snapshot", "snapshot_id"),
    "restores": _Call("list_restores"),
    "restore": _Call("get_restore", "restore_id"),
    "events": _Call("list_events", kept={"type": "type", "session": "session", "actor": "actor"}),
    "event": _Call("get_event", "event_id"),
    "sessions": _Call("list_sessions", kept={"q": "q", "status": "status", "agent": "agent"}),
    "session": _Call("get_session", "session_id"),
    "tasks": _Call("list_tasks", kept={"q": "q", "status": "status", "priority": "priority", "agent": "assigned_to"}),
    "task": _Call("get_task", "task_id"),
    "commit": _Call("list_events", parts={"sha": "commit"}),
    "fleet": _Call("preview_batch", kept={"q": "q", "status": "status", "namespace": "namespace", "at": "at"}),
    "batch": _Call("get_batch", "batch_id"),
    "edit": _Call("get_edit", "entry_id"),
    "trash": _Call("list_agents", fixed={"trash": "true"}),
    "capture": _Call("get_capture"),
    "tokens": _Call("list_tokens"),
    "audit": _Call("list_audit", kept={"row": "row"}),
}


_SEARCH: Final = _Call("search_events", kept={"q": "q"})
_BATCHES: Final = _Call("list_batches")
_DIFF: Final = _Call("get_diff", "agent_id", kept={"before": "from", "after": "to", "right": "other"})


def _compared(request: HttpRequest) -> RowId | None:
    """Return the agent that is compared, or None if none is named yet, or by what is no address."""
    try:
        return from_address(request.GET["left"].strip()) if request.GET.get("left") else None
    except ValueError:
        return None


def json_url(request: HttpRequest, *, in_trash: bool = False) -> str:
    """Return the address of a page's data as JSON, or nothing for a page that has none.

    `in_trash` says that the page is about an agent in the trash, which the API shows only when asked for the trash.
    """
    match = request.resolver_match
    call = CALLS.get(str(match.url_name)) if match and not match.app_names else None
    if match is None or call is None:
        return ""
    if match.url_name == "events" and request.GET.get("q"):
        call = _SEARCH
    if match.url_name == "bisect" and not request.GET.get("condition"):
        call = CALLS["agent"]
    if match.url_name == "fleet" and not request.GET.get("at"):
        call = _BATCHES
    found = match.kwargs.get(call.id_name)
    if match.url_name == "compare" and (compared := _compared(request)) is not None:
        call, found = _DIFF, compared
    arguments = [] if found is None else [found if isinstance(found, int) else to_address(found)]
    asked = dict(call.fixed)
    asked |= {theirs: str(match.kwargs[ours]) for ours, theirs in call.parts.items()}
    asked |= {theirs: request.GET[ours] for ours, theirs in call.kept.items() if request.GET.get(ours)}
    if call.name in ("list_agents", "preview_batch") and "namespace" in request.GET and request.GET["namespace"] != "*":
        asked["namespace"] = request.GET["namespace"]
    elif asked.get("namespace") == "*":
        del asked["namespace"]
    if in_trash and call.id_name == "agent_id":
        asked["trash"] = "true"
    if call.name == "list_sessions" and "agent" in asked:
        asked["agent"] = to_address(asked["agent"])
    # What is no valid UTF-8 cannot be named in a query string.
    asked = {name: value.encode("utf-8", "replace").decode() for name, value in asked.items()}
    address = str(reverse(f"api:{call.name}", args=arguments))
    return f"{address}?{urlencode(asked)}" if asked else address
