"""Tasks: the list, the board, one task with its history and what it waits for."""

import hashlib
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import models
from statestore.access import rights
from statestore.access.scope import Scope
from statestore.db.fields import text_bytes
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.errors import Moved
from statestore.forms import MoveForm, TaskChangeForm, TaskFilterForm
from statestore.models.querysets import BY_CHANGE
from statestore.sources.naming import mirrors
from statestore.tasks import edits
from statestore.tasks import graph as task_graph
from statestore.tasks import service as task_service
from statestore.views.access import actor, require, scope
from statestore.views.audit import activity
from statestore.views.edits import say_edited
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.own_addresses import is_own
from statestore.views.states import StateView
from statestore.views.svg import task_graph as task_graph_drawing

COLUMN_CARDS: Final = 50


@dataclass(frozen=True, slots=True)
class Card:
    """One task with the hash of the row that is shown: what may be moved. `form` is there on the one that is edited."""

    task: models.Task
    etag: str
    form: TaskChangeForm | None = None

    @property
    def anchor(self) -> str:
        """The card's anchor on the page: the same after a move, safe for any task id."""
        return "card-" + hashlib.sha256(text_bytes(str(self.task.pk))).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Column:
    """The tasks of one status, those that changed last first; `total` counts those that are not shown too."""

    status: str
    label: str
    cards: list[Card]
    total: int
    is_target: bool


@require_safe
@require("view_task")
@json_twin("list_tasks", "q", "status", "priority", agent="assigned_to")
def task_list(request: HttpRequest) -> HttpResponse:
    """Show tasks as a list, or as a board by status."""
    form, seen = TaskFilterForm(request.GET), scope(request)
    counts = seen.tasks().counts_by_status()
    context: dict[str, object] = {
        "place": "tasks", "form": form, "counts": sorted(counts.items(), key=lambda pair: -pair[1]),
        "total": sum(counts.values()), "statuses": models.TaskStatus.choices, "priorities": models.TaskPriority.choices,
    }  # fmt: skip
    if not form.is_valid():
        return render_page(request, "tasks/list.html", context, fragment="tasks/_rows.html")
    if form.cleaned_data["layout"] == "board":
        context["columns"] = columns = _columns(form, seen, _edited(request, form, seen))
        shown = [card.task for column in columns for card in column.cards]
        context["mirrors"] = mirrors(seen.using, (task.assigned_to for task in shown))
        return render_page(request, "tasks/board.html", context)
    page = form.page(form.tasks(seen), BY_CHANGE)
    context |= {"page": page, "cards": [Card(task, models.row_hash(task)) for task in page]}
    context["mirrors"] = mirrors(seen.using, (task.assigned_to for task in page))
    return render_page(request, "tasks/list.html", context, fragment="tasks/_rows.html")


def _edited(request: HttpRequest, form: TaskFilterForm, seen: Scope) -> TaskChangeForm | None:
    """Return the form of the task that is edited on the board, if one is, and the user may."""
    task_id = form.cleaned_data["edit"]
    task = seen.tasks().named(task_id) if task_id is not None and rights.may(request.user, "change_task") else None
    return None if task is None else TaskChangeForm(instance=task, scope=seen)


def _columns(form: TaskFilterForm, seen: Scope, edited: TaskChangeForm | None) -> list[Column]:
    tasks = form.tasks(seen)
    totals = tasks.counts_by_status()
    known = [(str(value), str(label)) for value, label in models.TaskStatus.choices]
    unknown = [(status, status) for status in totals if status not in models.TaskStatus.values][:4]
    columns = []
    for status, label in [*known, *unknown]:
        # A status that no task has costs no query.
        rows = tasks.filter(status=status) if status in totals else tasks.none()
        cards = [_card(task, edited) for task in rows.last_changed_first()[:COLUMN_CARDS]]
        columns.append(Column(status, label, cards, totals.get(status, 0), (status, label) in known))
    return columns


def _card(task: models.Task, edited: TaskChangeForm | None) -> Card:
    is_edited = edited is not None and edited.instance.pk == task.pk
    return Card(task, models.row_hash(task), edited if is_edited else None)


@require_safe
@require("view_task")
@json_twin("get_task")
def task_detail(request: HttpRequest, task_id: RowId) -> HttpResponse:
    """Show a task: what it is, what it waits for and what waits for it, and what people did to it."""
    task, seen = _task_or_404(request, task_id), scope(request)
    graph = task_graph.around(task.pk, scope=seen)
    context = {
        "place": "tasks",
        "task": task,
        "form": TaskChangeForm(instance=task, scope=seen) if rights.may(request.user, "change_task") else None,
        "graph": graph,
        "node": graph.nodes.get(task.pk),
        "mirrors": mirrors(seen.using, [task.assigned_to]),
        "drawn": task_graph_drawing.draw(graph, task.pk),
        "metadata": StateView(task.metadata) if task.metadata else None,
        "activity": activity(seen, "task", task.pk),
        "dependencies": [graph.nodes[edge.depends_on] for edge in graph.edges if edge.task == task.pk],
        "dependents": [graph.nodes[edge.task] for edge in graph.edges if edge.depends_on == task.pk],
    }
    return render_page(request, "tasks/detail.html", context)


@require_POST
@require("change_task")
def change_task(request: HttpRequest, task_id: RowId) -> HttpResponse:
    """Save what was changed of a task, where it is the one that was seen."""
    task, seen = _task_or_404(request, task_id), scope(request)
    form = TaskChangeForm(request.POST, instance=task, scope=seen)
    try:
        changes, etag = form.changes, form.cleaned_data["etag"]
        if changes:
            entry = edits.recorded(
                lambda: task_service.save_task(
                    seen.using, {"id": task.pk, **changes}, by=actor(request), if_match=etag, scope=seen
                )
            )
            say_edited(request, entry)
        else:
            messages.info(request, "Nothing was changed.")
    except Moved:
        # The page is shown again with what was typed: what was not is shown as it is now.
        request.POST = form.typed  # type: ignore[assignment]
        raise
    return _back(request, task)


def _back(request: HttpRequest, task: models.Task) -> HttpResponse:
    back = request.POST.get("next", "")
    return redirect(back if is_own(request, back) else task)


@require_POST
@require("change_task")
def move_task(request: HttpRequest, task_id: RowId) -> HttpResponse:
    """Give a task another status, where it is the one that was seen."""
    task, form = _task_or_404(request, task_id), MoveForm(request.POST)
    status, etag = form.checked["status"], form.checked["etag"]
    entry = edits.recorded(
        lambda: task_service.move_task(store_alias(), task.pk, status, if_match=etag, by=actor(request))
    )
    say_edited(request, entry)
    return _back(request, task)


def _task_or_404(request: HttpRequest, task_id: RowId) -> models.Task:
    task = scope(request).tasks().named(task_id)
    if task is None:
        raise Http404("Task not found. Its orchestrator may have deleted it.")
    return task
