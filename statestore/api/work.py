"""Tasks and sessions."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import dialect, models, paging, work
from statestore.api import shapes
from statestore.api.agents import found_agent
from statestore.api.answers import answer, check_row, if_match, listed, must_be_new, nothing, resource
from statestore.api.bodies import stored
from statestore.api.callers import Caller, caller
from statestore.api.calls import Calls, id_of
from statestore.api.once import once
from statestore.api.schemas.common import Listed
from statestore.api.schemas.work import (
    EndIn,
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
from statestore.errors import Conflict, Moved, NotFound
from statestore.querysets import BY_CHANGE

calls = Calls("tasks and sessions")
BY_START = ("-started_at", "-rowid")


def _answered(row: Any, shape: dict[str, Any], *, is_new: bool) -> HttpResponse:
    headers = {"ETag": f'"{models.row_hash(row)}"'} | ({"Location": shape["url"]} if is_new else {})
    return answer(shape, status=201 if is_new else 200, headers=headers)


def _must_be_theirs(who: Caller, rows: Any, everything: Any, pk: str) -> Any:
    """Return the row that is there, or None. Raises Conflict where it is one that the caller cannot see."""
    row = rows.filter(pk=pk).first()
    if row is None and not who.reach.is_whole and everything.filter(pk=pk).exists():
        raise Conflict(f"The id “{pk[:80]}” is taken. Nothing was changed; choose another one.")
    return row


# Tasks


def _task(request: HttpRequest, address: str) -> models.Task:
    row: models.Task | None = caller(request).reach.tasks().named(id_of(address, "task"))
    if row is None:
        raise NotFound(f"There is no task “{address[:80]}” here.")
    return row


@calls.call("GET", "/tasks", {200: Listed[TaskOut]}, may="view_task")
def list_tasks(request: HttpRequest, asked: Query[TasksIn]) -> HttpResponse:
    """List tasks, last changed first."""
    names = ("status", "priority", "complexity", "assigned_to")
    chosen = {name: getattr(asked, name) for name in names if getattr(asked, name)}
    rows = caller(request).reach.tasks().filter(**chosen)
    return answer(listed(paging.page(rows, BY_CHANGE, cursor=asked.cursor, size=asked.limit), shapes.task))


@calls.call("POST", "/tasks", {201: TaskOut}, scope="write", may="add_task", tagged=True)
def create_task(request: HttpRequest, body: TaskIn) -> HttpResponse:
    """Make a task. One of the same id is a conflict; PUT /tasks/{id} overwrites."""

    def write() -> HttpResponse:
        if body.id is not None and models.Task.objects.filter(pk=body.id).exists():
            raise Conflict(f"There is a task “{body.id[:80]}” already. Nothing was changed.")
        columns = _task_columns(body)
        return _save_task(request, {**columns, "id": body.id or models.new_id()}, is_new=True)

    return once(request, write)


def _task_columns(body: TaskPatchIn) -> dict[str, Any]:
    columns = body.model_dump(exclude_unset=True)
    if "metadata" in columns:
        columns["metadata"] = stored(columns["metadata"])
    required = ("title", "status", "priority", "complexity", "dependencies")
    return {name: value for name, value in columns.items() if value is not None or name not in required}


def _save_task(request: HttpRequest, task: dict[str, Any], *, is_new: bool) -> HttpResponse:
    who = caller(request)
    if not who.reach.is_whole:
        there = who.reach.tasks().filter(pk=task["id"]).first()
        who.reach.must_have_agent(task.get("assigned_to", there.assigned_to if there else None), "A task")
    row = work.save_task(who.reach.using, task, by=who.actor, if_match=if_match(request))
    return _answered(row, shapes.task(row), is_new=is_new)


@calls.call("GET", "/tasks/{task_id}", {200: TaskOut}, may="view_task", tagged=True)
def get_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Read a task."""
    row = _task(request, task_id)
    return resource(request, models.row_hash(row), lambda: shapes.task(row))


@calls.call("PUT", "/tasks/{task_id}", {200: TaskOut, 201: TaskOut}, scope="write", may="change_task", tagged=True)
def put_task(request: HttpRequest, task_id: str, body: TaskPutIn) -> HttpResponse:
    """Save a task, made where there is none."""
    who, wanted = caller(request), id_of(task_id, "task")
    pk = wanted if isinstance(wanted, str) else _task(request, task_id).pk
    only_new = must_be_new(request)
    with dialect.writing(who.reach.using):
        there = _must_be_theirs(who, who.reach.tasks(), models.Task.objects.using(who.reach.using), pk)
        if there is None:
            who.must_be_allowed("add_task")
        elif only_new:
            raise Moved("There is a task of this id already. Nothing was changed.", models.row_hash(there))
        elif if_match(request):
            check_row(request, there)
        return _save_task(request, {**_task_columns(body), "id": pk}, is_new=there is None)


@calls.call("PATCH", "/tasks/{task_id}", {200: TaskOut}, scope="write", may="change_task", tagged=True)
def patch_task(request: HttpRequest, task_id: str, body: TaskPatchIn) -> HttpResponse:
    """Change some of a task; what is not given stays."""
    with dialect.writing(caller(request).reach.using):
        row = _task(request, task_id)
        return _save_task(request, {**_task_columns(body), "id": row.pk}, is_new=False)


@calls.call("DELETE", "/tasks/{task_id}", {204: None}, scope="write", may="delete_task")
def delete_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Delete a task, with the dependencies from and to it."""
    who = caller(request)
    work.delete_task(who.reach.using, _task(request, task_id), by=who.actor, if_match=if_match(request))
    return nothing()


# Sessions


def _session(request: HttpRequest, address: str) -> models.Session:
    row: models.Session | None = caller(request).reach.sessions().named(id_of(address, "session"))
    if row is None:
        raise NotFound(f"There is no session “{address[:80]}” here.")
    return row


@calls.call("GET", "/sessions", {200: Listed[SessionOut]}, may="view_session", fails=(404,))
def list_sessions(request: HttpRequest, asked: Query[SessionsIn]) -> HttpResponse:
    """List sessions, newest first."""
    rows = caller(request).reach.sessions()
    if asked.agent:
        rows = rows.of_agent(found_agent(request, asked.agent).agent_id)
    if asked.open is not None:
        rows = rows.filter(ended_at__isnull=asked.open)
    if asked.status:
        rows = rows.filter(status=asked.status)
    return answer(listed(paging.page(rows, BY_START, cursor=asked.cursor, size=asked.limit), shapes.session))


@calls.call("POST", "/sessions", {201: SessionOut}, scope="write", may="add_session", tagged=True)
def start_session(request: HttpRequest, body: SessionIn) -> HttpResponse:
    """Open a session of an agent."""
    who = caller(request)

    def write() -> HttpResponse:
        who.reach.must_have_agent(body.agent_id, "A session")
        row = who.store().start_session(body.agent_id, session_id=body.id, metadata=stored(body.metadata))
        return _answered(row, shapes.session(row), is_new=True)

    return once(request, write)


@calls.call(
    "POST",
    "/sessions/{session_id}/end",
    {200: SessionOut},
    scope="write",
    may="change_session",
    tagged=True,
    conditional=True,
)
def end_session(request: HttpRequest, session_id: str, body: EndIn) -> HttpResponse:
    """Close a session."""

    def write() -> HttpResponse:
        session = _session(request, session_id)
        row = caller(request).store().end_session(session.pk, body.status, if_match=if_match(request))
        return _answered(row, shapes.session(row), is_new=False)

    return once(request, write)


@calls.call("GET", "/sessions/{session_id}", {200: SessionOut}, may="view_session", tagged=True)
def get_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Read a session."""
    row = _session(request, session_id)
    return resource(request, models.row_hash(row), lambda: shapes.session(row))


@calls.call(
    "PUT",
    "/sessions/{session_id}",
    {200: SessionOut, 201: SessionOut},
    scope="write",
    may="change_session",
    tagged=True,
)
def put_session(request: HttpRequest, session_id: str, body: SessionPutIn) -> HttpResponse:
    """Save a session, made where there is none."""
    who, wanted = caller(request), id_of(session_id, "session")
    pk = wanted if isinstance(wanted, str) else _session(request, session_id).pk
    only_new = must_be_new(request)
    with dialect.writing(who.reach.using):
        there = _must_be_theirs(who, who.reach.sessions(), models.Session.objects.using(who.reach.using), pk)
        if there is None:
            who.must_be_allowed("add_session")
        elif only_new:
            raise Moved("There is a session of this id already. Nothing was changed.", models.row_hash(there))
        row = there or models.Session(pk=pk, started_at=models.now(), status="active")
        return _save_session(request, row, body, is_new=there is None)


def _save_session(request: HttpRequest, row: models.Session, body: SessionPatchIn, *, is_new: bool) -> HttpResponse:
    who = caller(request)
    for name, value in body.model_dump(exclude_unset=True).items():
        if value is not None or name in {"ended_at", "metadata"}:
            setattr(row, name, stored(value) if name == "metadata" else value)
    who.reach.must_have_agent(row.agent_id, "A session")
    row = work.save_session(who.reach.using, row, by=who.actor, if_match=if_match(request))
    return _answered(row, shapes.session(row), is_new=is_new)


@calls.call("PATCH", "/sessions/{session_id}", {200: SessionOut}, scope="write", may="change_session", tagged=True)
def patch_session(request: HttpRequest, session_id: str, body: SessionPatchIn) -> HttpResponse:
    """Change some of a session; what is not given stays."""
    with dialect.writing(caller(request).reach.using):
        return _save_session(request, _session(request, session_id), body, is_new=False)


@calls.call("DELETE", "/sessions/{session_id}", {204: None}, scope="write", may="delete_session")
def delete_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """Delete a session; its events stay."""
    who = caller(request)
    work.delete_session(who.reach.using, _session(request, session_id), by=who.actor, if_match=if_match(request))
    return nothing()
