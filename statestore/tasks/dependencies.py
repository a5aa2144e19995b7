"""What waits for what as it was written down: in each task's own list, and in the table of edges."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from statestore import models
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.models.tasks import dependency_ids

# Of either record, so many entries are read to find who waits for a task: no index has what the lists name.
MOST_RECORDED: Final = 20_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Edge:
    """One task waits for another. `sources` say where that is written: the task's own list, the table, or both."""

    task: str
    waits_for: str
    in_list: bool
    in_table: bool

    @property
    def agrees(self) -> bool:
        """Whether both records have it."""
        return self.in_list and self.in_table


@dataclass(slots=True)
class Ways:
    """Who waits for whom, in either direction. With `is_partial`, there may be more than was read."""

    waits: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    awaited: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    is_partial: bool = False

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add that one task waits for another, for each pair."""
        for one, other in pairs:
            self.waits[one].add(other)
            self.awaited[other].add(one)


def ways(using: str, task_id: str) -> Ways:
    """Return who waits for whom, as either record has it: all of it, or the newest and what is next to one task."""
    with translated_errors():
        table = models.TaskDependency.objects.using(using).values_list("task_id", "depends_on_id")
        pairs = list(table.order_by("-pk")[: MOST_RECORDED + 1])
        tasks = models.Task.objects.using(using)
        rows = tasks.filter(dependencies__holds='"').order_by("-rowid").values_list("pk", "dependencies")
        lists = list(rows[: MOST_RECORDED + 1])
        found = Ways(is_partial=max(len(pairs), len(lists)) > MOST_RECORDED)
        if found.is_partial:
            pairs += [*table.filter(task_id=task_id), *table.filter(depends_on_id=task_id)[:MOST_RECORDED]]
            lists += list(tasks.filter(pk=task_id).values_list("pk", "dependencies"))
    found.add(pairs)
    found.add((one, other) for one, text in lists for other in _named(text))
    return found


def edges(using: str, tasks: dict[str, models.Task | None]) -> list[Edge]:
    """Return all that some tasks wait for, by their own lists and by the table."""
    table: set[tuple[str, str]] = set()
    with translated_errors():
        for ids in batched(list(tasks), _AT_ONCE):
            rows = models.TaskDependency.objects.using(using).filter(task_id__in=ids)
            table.update(rows.values_list("task_id", "depends_on_id"))
    listed = {(one, other) for one, task in tasks.items() if task is not None for other in _named(task.dependencies)}
    return [Edge(*pair, pair in listed, pair in table) for pair in sorted(table | listed)]


def load(using: str, ids: Iterable[str]) -> dict[str, models.Task | None]:
    """Return the tasks of some ids; None for one that does not exist."""
    ids = list(ids)
    rows: dict[str, models.Task] = {}
    with translated_errors():
        for batch in batched(ids, _AT_ONCE):
            rows |= {task.pk: task for task in models.Task.objects.using(using).filter(pk__in=batch)}
    return {task_id: rows.get(task_id) for task_id in ids}


def _named(text: Any) -> list[str]:
    try:
        return dependency_ids(text)
    except ValidationError:
        return []


def check_dependencies(using: str, task_id: str, wanted: list[str]) -> None:
    """Raise ValidationError where a dependency does not exist, or where a task would wait for itself in the end."""
    present = set(models.Task.objects.using(using).filter(pk__in=wanted).values_list("pk", flat=True))
    if missing := [one for one in wanted if one not in present and one != task_id]:
        raise ValidationError(f"Task “{missing[0][:80]}” does not exist. Nothing was saved.", field="dependencies")
    if circle := _circle(using, task_id, wanted):
        raise ValidationError(
            "Circular dependency: " + " → ".join(circle) + ". Nothing was saved.", field="dependencies"
        )


def _circle(using: str, task_id: str, wanted: list[str]) -> list[str]:
    """Return the path by which `task_id` would come to wait for itself, or nothing."""
    paths = {one: [task_id, one] for one in wanted}
    front = list(paths)
    while front:
        if task_id in front:
            return paths[task_id]
        edges = models.TaskDependency.objects.using(using).filter(task_id__in=front)
        front = []
        for task, other in edges.values_list("task_id", "depends_on_id"):
            if other not in paths:
                paths[other] = [*paths[task], other]
                front.append(other)
    return []


def replace_edges(using: str, task_id: str, wanted: list[str]) -> None:
    """Make the edges of a task those that its dependencies name."""
    edges = models.TaskDependency.objects.using(using)
    edges.filter(task_id=task_id).exclude(depends_on_id__in=wanted).delete()
    present = set(edges.filter(task_id=task_id).values_list("depends_on_id", flat=True))
    edges.bulk_create(models.TaskDependency(task_id=task_id, depends_on_id=one) for one in wanted if one not in present)
