"""The calls about all stores, where several are served; those of a store are below its address."""

import functools
from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from ninja.utils import check_csrf
from pydantic import BaseModel, ConfigDict, ValidationError

from statestore.access import path_prefix, rights
from statestore.access.audit import Actor
from statestore.api.auth import NOT_OURS, Requirement, actor_of, token_of
from statestore.api.problems import Problem, problem
from statestore.api.responses import answer, no_content
from statestore.api.site import READ, explain_problem, read_only
from statestore.api.site import served as serve_call
from statestore.db import served
from statestore.operations import store_summaries
from statestore.operations.every_store import Answer
from statestore.operations.store_summaries import Summary
from statestore.stores import adding

# A call waits so long for stores; of one that takes longer it says what was last known.
PATIENCE_SECONDS: Final = 2.0
WRITE: Final = Requirement("admin", "import_store")


class StoreIn(BaseModel):
    """A store to add: the name in its addresses, and its file, within one of STORE_DIRS."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    path: str


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


def add_or_list(request: HttpRequest) -> HttpResponse:
    """Answer a GET with the list, and a POST by adding a store."""
    if request.method == "POST":
        return add_store(request)
    return list_stores(request) if request.method == "GET" else _only(request, "GET, HEAD, POST")


def add_store(request: HttpRequest) -> HttpResponse:
    """Serve a file of one of the directories of STORE_DIRS: {"name": …, "path": …}."""
    by = _administrator(request)
    if request.content_type != "application/json":
        raise Problem("media-type", "This call takes application/json.")
    try:
        given = StoreIn.model_validate_json(request.body)
    except ValidationError as error:
        raise Problem("invalid", f"Send name and path as texts: {error.errors()[0]['msg']}.") from None
    adding.add(given.name, given.path, by=by)
    return _one(given.name)


def remove_store(request: HttpRequest, name: str) -> HttpResponse:
    """Serve an added store no more; its file stays as it is."""
    if request.method != "DELETE":
        return _only(request, "DELETE")
    adding.remove(name, by=_administrator(request))
    return no_content()


def _only(request: HttpRequest, methods: str) -> HttpResponse:
    return problem("method", f"Method {request.method} is not allowed here.", headers={"Allow": methods})


def _administrator(request: HttpRequest) -> Actor:
    """Return who may add stores. Raises a problem for any other caller."""
    token = token_of(request)
    if token is not None:
        WRITE.check_token(token)
        if token.namespaces is not None or not all(map(token.opens, served.aliases())):
            raise Problem("forbidden", "This token is limited. To add or remove a store, it opens the whole of each.")
        user: User | AnonymousUser = token.user
        by = actor_of(token, request)
    elif not request.user.is_authenticated:
        raise Problem("unauthenticated", "This endpoint requires a token or a login.")
    elif check_csrf(request):
        raise Problem("forbidden", NOT_OURS)
    else:
        user = request.user
        by = Actor(user.get_username(), str(request.META.get("REMOTE_ADDR", "")), "session")
    if not rights.may_add_stores(user):
        raise Problem("forbidden", "Administrators who see the whole of every store add and remove stores.")
    return by


def _one(name: str) -> HttpResponse:
    known = store_summaries.of([name], patience_seconds=PATIENCE_SECONDS)
    return answer(_item(name, known[name]), status=201)


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


call = functools.partial(serve_call, needs_store=False)
urlpatterns = [
    path("stores", call(add_or_list), name="stores"),
    path("stores/<str:name>", call(remove_store), name="store"),
    path("problems/<str:name>", call(read_only(explain_problem)), name="problem"),
    re_path(r"^.*$", call(unknown), name="unknown"),
]
app_name = "api"
