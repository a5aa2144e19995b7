"""Sessions."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models, sessions
from statestore.access.scope import Scope
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.mirrored import listed_with_sources
from statestore.api.parsers import stored
from statestore.api.resources import Resource, find_agent, id_of
from statestore.api.responses import if_match, tagged
from statestore.api.schemas.common import Listed
from statestore.api.schemas.sessions import (
    ENDED,
    EndIn,
    ListedSessionOut,
    SessionIn,
    SessionOut,
    SessionPatchIn,
    SessionPutIn,
    SessionsIn,
)
from statestore.db import transactions
from statestore.sessions import service as session_service

calls = Calls("tasks and sessions")
SESSION = Resource("session", Scope.sessions, SessionOut.of)


@calls.call("GET", "/sessions", {200: Listed[ListedSessionOut]}, may="view_session", fails=(404,))
def list_sessions(request: HttpRequest, params: Query[SessionsIn]) -> HttpResponse:
    """List sessions by their last event, newest first, including sessions that only events refer to.

    With `open`, or to callers that are limited to namespaces, only recorded sessions are listed, by their start.
    """
    scope = caller(request).scope
    agent_id = find_agent(request, params.agent).agent_id if params.agent else ""
    if not scope.is_unrestricted or params.open is not None:
        rows = scope.sessions().matching(params.q, params.status, agent_id)
        rows = rows if params.open is None else rows.filter(ended_at__isnull=params.open)
        recorded = sessions.recorded(rows, cursor=params.cursor, size=params.limit)
        return listed_with_sources(
            request, recorded.rows, ListedSessionOut.of_listed, recorded.older, agent="agent_id", session="session_id"
        )
    cursor, _, beyond = params.cursor.partition(".")
    page = sessions.listed(params.q, params.status, agent_id, cursor=cursor, beyond=beyond, size=params.limit)
    next_cursor = f".{page.beyond}" if page.older is None and page.beyond else None
    if page.older is not None:
        next_cursor = f"{page.older}.{beyond}" if beyond else page.older
    return listed_with_sources(
        request, page.rows, ListedSessionOut.of_listed, next_cursor, agent="agent_id", session="session_id"
    )


@calls.call("POST", "/sessions", {201: SessionOut}, scope="write", may="add_session", tagged=True)
def start_session(request: HttpRequest, body: SessionIn) -> HttpResponse:
    """Start a session of an agent."""
    who = caller(request)

    def write() -> HttpResponse:
        who.scope.require_agent(body.agent_id, "A session")
        if body.id is not None:
            who.scope.require_new_session(body.id)
        row = who.store().start_session(body.agent_id, session_id=body.id, metadata=stored(body.metadata))
        return SESSION.written(row, is_new=True)

    return run_in_transaction(request, write)


@calls.action("/sessions/{session_id}/end", {200: SessionOut}, scope="write", may="change_session")
def end_session(request: HttpRequest, session_id: str, body: EndIn = ENDED) -> HttpResponse:
    """End a session."""

    def write() -> HttpResponse:
        session = SESSION.find(request, session_id)
        row = caller(request).store().end_session(session.pk, body.status, if_match=if_match(request))
        return SESSION.written(row)

    return run_in_transaction(request, write)


@calls.call("GET", "/sessions/{session_id}", {200: SessionOut}, may="view_session", tagged=True)
def get_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Read a session, including one that only events refer to."""
    scope, row_id = caller(request).scope, id_of(session_id, "session")
    if scope.is_unrestricted and scope.sessions().named(row_id) is None:
        unrecorded = sessions.of_events(row_id, using=scope.using)
        if unrecorded is not None:
            return tagged(request, SessionOut.of_events(unrecorded))
    return SESSION.read(request, session_id)


@calls.call(
    "PUT",
    "/sessions/{session_id}",
    {200: SessionOut, 201: SessionOut},
    scope="write",
    may="change_session",
    tagged=True,
)
def put_session(request: HttpRequest, session_id: str, body: SessionPutIn) -> HttpResponse:
    """Create or update a session."""
    with transactions.writing(caller(request).scope.using):
        pk, existing = SESSION.find_for_put(request, session_id)
        row = existing or models.Session(pk=pk, started_at=models.now(), status="active")
        return _save_session(request, row, body, is_new=existing is None)


def _save_session(request: HttpRequest, row: models.Session, body: SessionPatchIn, *, is_new: bool) -> HttpResponse:
    who = caller(request)
    for name, value in body.model_dump(exclude_unset=True).items():
        if value is not None or name in {"ended_at", "metadata"}:
            setattr(row, name, stored(value) if name == "metadata" else value)
    etag = if_match(request)
    row = session_service.save_session(who.scope.using, row, by=who.actor, if_match=etag, scope=who.scope)
    return SESSION.written(row, is_new=is_new)


@calls.call("PATCH", "/sessions/{session_id}", {200: SessionOut}, scope="write", may="change_session", tagged=True)
def patch_session(request: HttpRequest, session_id: str, body: SessionPatchIn) -> HttpResponse:
    """Change a session. Omitted fields keep their values."""
    with transactions.writing(caller(request).scope.using):
        return _save_session(request, SESSION.find(request, session_id), body, is_new=False)


@calls.call("DELETE", "/sessions/{session_id}", {204: None}, scope="write", may="delete_session")
def delete_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Delete a session. Its events are kept."""
    return SESSION.delete(request, session_id)
