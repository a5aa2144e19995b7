"""Tasks."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.access.scope import Scope
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.mirrored import listed_with_sources
from statestore.api.parsers import stored
from statestore.api.resources import Resource
from statestore.api.responses import if_match
from statestore.api.schemas.common import Listed
from statestore.api.schemas.tasks import (
    ListedTaskOut,
    TaskIn,
    TaskOut,
    TaskPatchIn,
    TaskPutIn,
    TasksIn,
)
from statestore.db import pagination, transactions
from statestore.models.querysets import BY_CHANGE
from statestore.tasks import service as task_service

calls = Calls("tasks and sessions")
TASK = Resource("task", Scope.tasks, TaskOut.of)


@calls.call("GET", "/tasks", {200: Listed[ListedTaskOut]}, may="view_task")
def list_tasks(request: HttpRequest, params: Query[TasksIn]) -> HttpResponse:
    """List tasks, recently changed first."""
    names = ("status", "priority", "complexity", "assigned_to")
    filters = {name: getattr(params, name) for name in names if getattr(params, name)}
    rows = caller(request).scope.tasks().with_text(params.q).filter(**filters)
    page = pagination.page(rows, BY_CHANGE, cursor=params.cursor, size=params.limit)
    return listed_with_sources(request, page, ListedTaskOut.of, page.older, agent="assigned_to")


@calls.call("POST", "/tasks", {201: TaskOut}, scope="write", may="add_task", tagged=True)
def create_task(request: HttpRequest, body: TaskIn) -> HttpResponse:
    """Create a task. An existing id is a conflict; use `PUT /tasks/{id}` to overwrite."""

    def write() -> HttpResponse:
        task = {**_task_columns(body), "id": body.id or models.new_id()}
        return _save_task(request, task, is_new=True, only_new=True)

    return run_in_transaction(request, write)


def _task_columns(body: TaskPatchIn) -> dict[str, object]:
    columns = body.model_dump(exclude_unset=True)
    if "metadata" in columns:
        columns["metadata"] = stored(columns["metadata"])
    required = ("title", "status", "priority", "complexity", "dependencies")
    return {name: value for name, value in columns.items() if value is not None or name not in required}


def _save_task(request: HttpRequest, task: dict[str, object], *, is_new: bool, only_new: bool = False) -> HttpResponse:
    who = caller(request)
    etag = None if only_new else if_match(request)
    row = task_service.save_task(who.scope.using, task, by=who.actor, if_match=etag, only_new=only_new, scope=who.scope)
    return TASK.written(row, is_new=is_new)


@calls.call("GET", "/tasks/{task_id}", {200: TaskOut}, may="view_task", tagged=True)
def get_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Read a task."""
    return TASK.read(request, task_id)


@calls.call("PUT", "/tasks/{task_id}", {200: TaskOut, 201: TaskOut}, scope="write", may="change_task", tagged=True)
def put_task(request: HttpRequest, task_id: str, body: TaskPutIn) -> HttpResponse:
    """Create or update a task."""
    with transactions.writing(caller(request).scope.using):
        pk, existing = TASK.find_for_put(request, task_id)
        return _save_task(request, {**_task_columns(body), "id": pk}, is_new=existing is None)


@calls.call("PATCH", "/tasks/{task_id}", {200: TaskOut}, scope="write", may="change_task", tagged=True)
def patch_task(request: HttpRequest, task_id: str, body: TaskPatchIn) -> HttpResponse:
    """Change a task. Omitted fields keep their values."""
    with transactions.writing(caller(request).scope.using):
        row = TASK.find(request, task_id)
        return _save_task(request, {**_task_columns(body), "id": row.pk}, is_new=False)


@calls.call("DELETE", "/tasks/{task_id}", {204: None}, scope="write", may="delete_task")
def delete_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """Delete a task, and the dependencies from and to it."""
    return TASK.delete(request, task_id)
