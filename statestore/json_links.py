"""Where a page's data is as JSON: the call with the same rows, filtered the same."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from statestore.addresses import to_address


class _Call(NamedTuple):
    """A call of the API: its name, which of the page's parts it takes, and what else it is asked."""

    name: str
    id_name: str = ""
    kept: Mapping[str, str] = {}
    fixed: Mapping[str, str] = {}


# name of the page's URL: the call. `kept` maps the page's parameters to the call's.
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
    "trash": _Call("list_agents", fixed={"trash": "true"}),
    "audit": _Call("list_audit", kept={"row": "row"}),
}


def json_url(request: HttpRequest) -> str:
    """Return the address of a page's data as JSON, or nothing for a page that has none."""
    match = request.resolver_match
    call = CALLS.get(str(match.url_name)) if match and not match.app_names else None
    if match is None or call is None:
        return ""
    arguments: list[Any] = [to_address(match.kwargs[call.id_name])] if call.id_name else []
    asked = dict(call.fixed)
    asked |= {theirs: request.GET[ours] for ours, theirs in call.kept.items() if request.GET.get(ours)}
    if call.name == "list_agents" and "namespace" in request.GET and request.GET["namespace"] != "*":
        asked["namespace"] = request.GET["namespace"]
    elif asked.get("namespace") == "*":
        del asked["namespace"]
    address = str(reverse(f"api:{call.name}", args=arguments))
    return f"{address}?{urlencode(asked)}" if asked else address
