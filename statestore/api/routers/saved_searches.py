"""Saved searches of the caller, the same as on the search page."""

from django.http import HttpRequest, HttpResponse
from ninja import Path

from statestore import models
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.responses import if_match, listed, no_content, resource, written
from statestore.api.schemas.common import Listed
from statestore.api.schemas.search import ViewId, ViewIn, ViewOut
from statestore.events import saved_searches

calls = Calls("events")


@calls.call("GET", "/views", {200: Listed[ViewOut]}, may="view_event")
def list_views(request: HttpRequest) -> HttpResponse:
    """List your saved searches by name, all in one response."""
    return listed(saved_searches.by_name(_owner(request).user.pk), ViewOut.of)


@calls.call("POST", "/views", {200: ViewOut, 201: ViewOut}, scope="write", may="view_event", tagged=True)
def save_view(request: HttpRequest, body: ViewIn) -> HttpResponse:
    """Save a search. An existing one with the same name is replaced."""
    who = _owner(request)

    def work(seed: str | None) -> HttpResponse:
        view, is_new = saved_searches.save(who.user.pk, body.name, body.q)
        return written(ViewOut.of(view), etag=models.row_hash(view), is_new=is_new)

    return run_resumable(request, work)


@calls.call("GET", "/views/{view_id}", {200: ViewOut}, may="view_event", tagged=True)
def get_view(request: HttpRequest, view_id: Path[ViewId]) -> HttpResponse:
    """Read one of your saved searches."""
    view = saved_searches.find(_owner(request).user.pk, view_id)
    return resource(request, models.row_hash(view), lambda: ViewOut.of(view))


@calls.call("DELETE", "/views/{view_id}", {204: None}, scope="write", may="view_event")
def delete_view(request: HttpRequest, view_id: Path[ViewId]) -> HttpResponse:
    """Delete one of your saved searches."""
    saved_searches.delete(_owner(request).user.pk, view_id, if_match=if_match(request))
    return no_content()


def _owner(request: HttpRequest) -> Caller:
    """Return the caller, unless its token sees less than its user: a saved query may name rows outside of that."""
    who = caller(request)
    if who.scope.holder == "token":
        who.require_unrestricted("A saved search")
    return who
