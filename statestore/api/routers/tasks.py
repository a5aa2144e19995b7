"""Tasks and sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models, sessions
from statestore.access import audited_rows
from statestore.access.scope import Scope
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of, not_found
from statestore.api.idempotency import run_in_transaction
from statestore.api.parsers import stored
from statestore.api.responses import answer, if_match, listed, must_be_new, nothing, resource, tagged
from statestore.api.routers.agents import found_agent
from statestore.api.schemas.common import Listed
from statestore.api.schemas.tasks import (
    ENDED,
    EndIn,
    ListedSessionOut,
    SessionIn,
    SessionOut,
    SessionPatchIn,
    SessionPutIn,
    SessionsIn,
    TaskIn,
    TaskOut,
    TaskPatchIn,
    TaskPutIn,
    TasksIn,
)
from statestore.db import pagination, transactions
from statestore.errors import Conflict, Moved
from statestore.models.querysets import BY_CHANGE
from statestore.sessions import service as session_service
from statestore.tasks import service as task_service

calls = Calls("tasks and sessions")
BY_START = ("-started_at", "-rowid")


@dataclass(frozen=True, slots=True)
class _Noun:
    """The calls that tasks and sessions share."""

    name: str
    model: type[Any]
    rows: Callable[[Scope], Any]
    serialize: Callable[[Any], dict[str, Any]]

    def found(self, request: HttpRequest, address: str) -> Any:
        """Return the row at an address. Raises NotFound if it does not exist or the caller cannot see it."""
        row = self.rows(caller(request).scope).named(id_of(address, self.name))
        if row is None:
            raise not_found(self.name, address)
        return row

    def read(self, request: HttpRequest, address: str) -> HttpResponse:
        """Return the response of a GET."""
        row = self.found(request, address)
        return resource(request, models.row_hash(row), lambda: self.serialize(row))

    def answered(self, row: Any, *, is_new: bool) -> HttpResponse:
        """Return the response of a write."""
        payload = self.serialize(row)
        headers = {"ETag": f'"{models.row_hash(row)}"'} | ({"Location": payload["url"]} if is_new else {})
        return answer(payload, status=201 if is_new else 200, headers=headers)

    def put(self, request: HttpRequest, address: str) -> tuple[str, Any]:
        """Return the id of a PUT and the row to overwrite, None to create.

        Raises Conflict if the caller cannot see the row, Moved if it exists and the request may only create.
        """
        who, row_id, only_new = caller(request), id_of(address, self.name), must_be_new(request)
        pk = row_id if isinstance(row_id, str) else str(self.found(request, address).pk)
        row = self.rows(who.scope).filter(pk=pk).first()
        if row is not None and only_new:
            raise Moved(f"A {self.name} with this id already exists. Nothing was changed.", models.row_hash(row))
        if row is None:
            who.require_permission(f"add_{self.name}")
            if self.model is models.Session:
                who.scope.require_new_session(pk)
            if not who.scope.is_unrestricted and self.model.objects.using(who.scope.using).filter(pk=pk).exists():
                raise Conflict(f"The id “{pk[:80]}” is already in use. Nothing was changed. Choose another id.")
        return pk, row

    def delete(self, request: HttpRequest, address: str) -> HttpResponse:
        """Delete the row at an address."""
        who = caller(request)
        audited_rows.delete(who.scope.using, self.found(request, address), by=who.actor, if_match=if_match(request))
        return nothing()


TASK = _Noun("task", models.Task, Scope.tasks, serializers.task)
SESSION = _Noun("session", models.Session, Scope.sessions, serializers.session)


# Tasks


@calls.call("GET", "/tasks", {200: Listed[TaskOut]}, may="view_task")
def list_tasks(request: HttpRequest, params: Query[TasksIn]) -> HttpResponse:
    """List tasks, recently changed first."""
    names = ("status", "priority", "complexity", "assigned_to")
    filters = {name: getattr(params, name) for name in names if getattr(params, name)}
    rows = caller(request).scope.tasks().with_text(params.q).filter(**filters)
    return answer(listed(pagination.page(rows, BY_CHANGE, cursor=params.cursor, size=params.limit), serializers.task))


@calls.call("POST", "/tasks", {201: TaskOut}, scope="write", may="add_task", tagged=True)
def create_task(request: HttpRequest, body: TaskIn) -> HttpResponse:
    """Create a task. An existing id is a conflict; use `PUT /tasks/{id}` to overwrite."""

    def write() -> HttpResponse:
        task = {**_task_columns(body), "id": body.id or models.new_id()}
        return _save_task(request, task, is_new=True, only_new=True)

    return run_in_transaction(request, write)


def _task_columns(body: TaskPatchIn) -> dict[str, Any]:
    columns = body.model_dump(exclude_unset=True)
    if "metadata" in columns:
        columns["metadata"] = stored(columns["metadata"])
    required = ("title", "status", "priority", "complexity", "dependencies")
    return {name: value for name, value in columns.items() if value is not None or name not in required}


def _save_task(request: HttpRequest, task: dict[str, Any], *, is_new: bool, only_new: bool = False) -> HttpResponse:
    who = caller(request)
    if not who.scope.is_unrestricted:
        existing = who.scope.tasks().filter(pk=task["id"]).first()
        who.scope.require_agent(task.get("assigned_to", existing.assigned_to if existing else None), "A task")
        who.scope.require_tasks(task.get("dependencies") or (), besides=existing)
    etag = None if only_new else if_match(request)
    row = task_service.save_task(who.scope.using, task, by=who.actor, if_match=etag, only_new=only_new)
    return TASK.answered(row, is_new=is_new)


@calls.call("GET", "/tasks/{task_id}", {200: TaskOut}, may="view_task", tagged=True)
def get_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Read a task."""
    return TASK.read(request, task_id)


@calls.call("PUT", "/tasks/{task_id}", {200: TaskOut, 201: TaskOut}, scope="write", may="change_task", tagged=True)
def put_task(request: HttpRequest, task_id: str, body: TaskPutIn) -> HttpResponse:
    """Create or update a task."""
    with transactions.writing(caller(request).scope.using):
        pk, existing = TASK.put(request, task_id)
        return _save_task(request, {**_task_columns(body), "id": pk}, is_new=existing is None)


@calls.call("PATCH", "/tasks/{task_id}", {200: TaskOut}, scope="write", may="change_task", tagged=True)
def patch_task(request: HttpRequest, task_id: str, body: TaskPatchIn) -> HttpResponse:
    """Change a task. Omitted fields keep their values."""
    with transactions.writing(caller(request).scope.using):
        row = TASK.found(request, task_id)
        return _save_task(request, {**_task_columns(body), "id": row.pk}, is_new=False)


@calls.call("DELETE", "/tasks/{task_id}", {204: None}, scope="write", may="delete_task")
def delete_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Delete a task, and the dependencies from and to it."""
    return TASK.delete(request, task_id)


# Sessions


@calls.call("GET", "/sessions", {200: Listed[ListedSessionOut]}, may="view_session", fails=(404,))
def list_sessions(request: HttpRequest, params: Query[SessionsIn]) -> HttpResponse:
    """List sessions by their last event, newest first, including sessions that only events refer to.

    With `open`, or with a token limited to namespaces, only recorded sessions are listed, by their start.
    """
    scope = caller(request).scope
    if not scope.is_unrestricted or params.open is not None:
        rows = pagination.page(_recorded(request, params), BY_START, cursor=params.cursor, size=params.limit)
        return answer(listed(sessions.of_rows(rows, using=scope.using), serializers.listed_session, rows.older))
    agent_id = found_agent(request, params.agent).agent_id if params.agent else ""
    cursor, _, beyond = params.cursor.partition(".")
    page = sessions.listed(params.q, params.status, agent_id, cursor=cursor, beyond=beyond, size=params.limit)
    next_cursor = f".{page.beyond}" if page.older is None and page.beyond else None
    if page.older is not None:
        next_cursor = f"{page.older}.{beyond}" if beyond else page.older
    return answer(listed(page.rows, serializers.listed_session, next_cursor))


def _recorded(request: HttpRequest, params: SessionsIn) -> Any:
    rows = caller(request).scope.sessions()
    if params.q:
        rows = rows.filter(pk__holds=params.q)
    if params.agent:
        rows = rows.of_agent(found_agent(request, params.agent).agent_id)
    if params.open is not None:
        rows = rows.filter(ended_at__isnull=params.open)
    return rows.filter(status=params.status) if params.status else rows


@calls.call("POST", "/sessions", {201: SessionOut}, scope="write", may="add_session", tagged=True)
def start_session(request: HttpRequest, body: SessionIn) -> HttpResponse:
    """Start a session of an agent."""
    who = caller(request)

    def write() -> HttpResponse:
        who.scope.require_agent(body.agent_id, "A session")
        if body.id is not None:
            who.scope.require_new_session(body.id)
        row = who.store().start_session(body.agent_id, session_id=body.id, metadata=stored(body.metadata))
        return SESSION.answered(row, is_new=True)

    return run_in_transaction(request, write)


@calls.call(
    "POST",
    "/sessions/{session_id}/end",
    {200: SessionOut},
    scope="write",
    may="change_session",
    tagged=True,
    conditional=True,
)
def end_session(request: HttpRequest, session_id: str, body: EndIn = ENDED) -> HttpResponse:
    """End a session."""

    def write() -> HttpResponse:
        session = SESSION.found(request, session_id)
        row = caller(request).store().end_session(session.pk, body.status, if_match=if_match(request))
        return SESSION.answered(row, is_new=False)

    return run_in_transaction(request, write)


@calls.call("GET", "/sessions/{session_id}", {200: SessionOut}, may="view_session", tagged=True)
def get_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Read a session, including one that only events refer to."""
    scope, row_id = caller(request).scope, id_of(session_id, "session")
    if scope.is_unrestricted and scope.sessions().named(row_id) is None:
        unrecorded = sessions.of_events(row_id, using=scope.using)
        if unrecorded is not None:
            return tagged(request, serializers.unrecorded_session(unrecorded))
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
        pk, existing = SESSION.put(request, session_id)
        row = existing or models.Session(pk=pk, started_at=models.now(), status="active")
        return _save_session(request, row, body, is_new=existing is None)


def _save_session(request: HttpRequest, row: models.Session, body: SessionPatchIn, *, is_new: bool) -> HttpResponse:
    who = caller(request)
    for name, value in body.model_dump(exclude_unset=True).items():
        if value is not None or name in {"ended_at", "metadata"}:
            setattr(row, name, stored(value) if name == "metadata" else value)
    who.scope.require_agent(row.agent_id, "A session")
    row = session_service.save_session(who.scope.using, row, by=who.actor, if_match=if_match(request))
    return SESSION.answered(row, is_new=is_new)


@calls.call("PATCH", "/sessions/{session_id}", {200: SessionOut}, scope="write", may="change_session", tagged=True)
def patch_session(request: HttpRequest, session_id: str, body: SessionPatchIn) -> HttpResponse:
    """Change a session. Omitted fields keep their values."""
    with transactions.writing(caller(request).scope.using):
        return _save_session(request, SESSION.found(request, session_id), body, is_new=False)


@calls.call("DELETE", "/sessions/{session_id}", {204: None}, scope="write", may="delete_session")
def delete_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Delete a session. Its events are kept."""
    return SESSION.delete(request, session_id)
