"""The calls about all stores, where several are served; those of a store are below its address."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from statestore.access import path_prefix
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
    answers = store_summaries.newest(
        request.user if token is None else token.user, token, patience_seconds=PATIENCE_SECONDS
    )
    return answer({"items": [_item(name, each) for name, each in answers.items()]})


def _item(name: str, known: Answer[Summary]) -> dict[str, object]:
    home = f"{path_prefix.current()}{path_prefix.of_store(name)}"
    item: dict[str, object] = {
        "name": name, "page": f"{home}/", "api": f"{home}/api/v1/", "problem": known.problem or None, "as_of": known.at,
    }  # fmt: skip
    if (summary := known.found) is None:
        return item
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
