"""The calls about all stores, where several are served; those of a store are below its address."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from statestore.access import path_prefix, rights
from statestore.api.auth import token_of
from statestore.api.problems import problem
from statestore.api.responses import answer
from statestore.api.site import READ, explain_problem, read_only, served
from statestore.operations import store_summaries
from statestore.operations.every_store import Answer
from statestore.operations.store_summaries import Summary

# A call waits so long for stores; of one that takes longer it says what was last known.
PATIENCE_SECONDS: Final = 2.0


def list_stores(request: HttpRequest) -> HttpResponse:
    """List the stores that the caller may open, each with its figures if the caller sees all of it."""
    token = token_of(request)
    if token is not None:
        READ.check_token(token)
    elif not request.user.is_authenticated:
        return problem("unauthenticated", "This endpoint requires a token or a login.")
    user = request.user if token is None else token.user
    names = [name for name in rights.visible_stores(user) if token is None or token.opens(name)]
    answers = store_summaries.newest(names, patience_seconds=PATIENCE_SECONDS)
    is_limited = rights.namespaces_of(user) is not None or (token is not None and token.namespaces is not None)
    may_see = rights.may(user, "view_agentstate") and not is_limited
    return answer({"items": [_item(name, answers[name], may_see=may_see) for name in names]})


def _item(name: str, found: Answer[Summary], *, may_see: bool) -> dict[str, object]:
    home = f"{path_prefix.current()}{path_prefix.of_store(name)}"
    item: dict[str, object] = {
        "name": name, "page": f"{home}/", "api": f"{home}/api/v1/", "problem": found.problem or None, "as_of": found.at,
    }  # fmt: skip
    if not may_see or found.found is None:
        return item
    summary = found.found
    return item | {
        "kind": summary.kind, "bytes": summary.bytes, "agents": dict(summary.agents),
        "in_trouble": summary.in_trouble, "changed_at": summary.changed_at, "lag_seconds": summary.lag_seconds,
    }  # fmt: skip


def unknown(request: HttpRequest) -> HttpResponse:
    """Return the problem for a path that is not an endpoint."""
    return problem(
        "not-found", f"No endpoint at {request.path[:200]}. The calls of a store are below /stores/NAME/api/v1/."
    )


urlpatterns = [
    path("stores", served(read_only(list_stores), needs_store=False), name="stores"),
    path("problems/<str:name>", served(read_only(explain_problem), needs_store=False), name="problem"),
    re_path(r"^.*$", served(unknown, needs_store=False), name="unknown"),
]
app_name = "api"
