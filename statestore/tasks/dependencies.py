"""Dependencies between tasks, as they are recorded twice: in each task's own list, and in the table of edges."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from statestore import models
from statestore.access.scope import Scope
from statestore.db import fast_rows
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.models.tasks import TaskQuerySet, readable_dependency_ids
from statestore.tasks import limits


@dataclass(frozen=True, slots=True)
class Edge:
    """A task that depends on another, and which of the two records says so."""

    task: str
    depends_on: str
    in_list: bool
    in_table: bool

    @property
    def agrees(self) -> bool:
        """Whether both records have it."""
        return self.in_list and self.in_table


@dataclass(slots=True)
class Relations:
    """{task id: ids} in both directions. `is_partial` means that there may be more than was read."""

    dependencies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    dependents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    is_partial: bool = False

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add pairs of a task and one that it depends on."""
        for task_id, dependency_id in pairs:
            self.dependencies[task_id].add(dependency_id)
            self.dependents[dependency_id].add(task_id)


def relations(scope: Scope, task_id: str) -> Relations:
    """Return the dependencies in either record: all of them, or the newest and those of one task.

    In a limited scope they are those of its tasks: what other tasks depend on is not to be seen.
    """
    with translated_errors():
        tasks, edges = scope.tasks(), models.TaskDependency.objects.using(scope.using)
        if not scope.is_unrestricted:
            edges = edges.filter(task_id__in=tasks.order_by().values("pk"))
        table = edges.values_list("task_id", "depends_on_id")
        pairs = list(table.order_by("-pk")[: limits.RECORDED_DEPENDENCIES + 1])
        rows = tasks.filter(dependencies__holds='"').order_by("-rowid").values_list("pk", "dependencies")
        lists = list(rows[: limits.RECORDED_DEPENDENCIES + 1])
        recorded = Relations(is_partial=max(len(pairs), len(lists)) > limits.RECORDED_DEPENDENCIES)
        if recorded.is_partial:
            pairs += [
                *table.filter(task_id=task_id),
                *table.filter(depends_on_id=task_id)[: limits.RECORDED_DEPENDENCIES],
            ]
            lists += list(tasks.filter(pk=task_id).values_list("pk", "dependencies"))
    recorded.add(pairs)
    recorded.add((owner, dependency) for owner, text in lists for dependency in readable_dependency_ids(text))
    return recorded


def edges(using: str, tasks: dict[str, models.Task | None]) -> list[Edge]:
    """Return the edges from some tasks to what they depend on, from both records."""
    table: set[tuple[str, str]] = set()
    with translated_errors():
        for ids in batched(list(tasks), limits.IDS_AT_ONCE):
            rows = models.TaskDependency.objects.using(using).filter(task_id__in=ids)
            table.update(rows.values_list("task_id", "depends_on_id"))
    listed = {
        (task_id, dependency)
        for task_id, task in tasks.items()
        if task is not None
        for dependency in readable_dependency_ids(task.dependencies)
    }
    return [Edge(*pair, pair in listed, pair in table) for pair in sorted(table | listed)]


def load(among: TaskQuerySet, ids: Iterable[str]) -> dict[str, models.Task | None]:
    """Return {id: task}; None for a task that does not exist, or is not among the given ones."""
    ids = list(ids)
    rows: dict[str, models.Task] = {}
    with translated_errors():
        for batch in batched(ids, limits.IDS_AT_ONCE):
            rows |= {task.pk: task for task in among.filter(pk__in=batch)}
    return {task_id: rows.get(task_id) for task_id in ids}


def check_dependencies(scope: Scope, task_id: str, wanted: list[str], *, may_be_gone: bool = False) -> None:
    """Raise ValidationError if a new dependency does not exist in scope, or if the task would depend on itself."""
    if not wanted:
        return
    present = _present(scope, wanted)
    missing = [name for name in wanted if name not in present and name != task_id]
    if missing and not may_be_gone:
        raise ValidationError(f"Task “{missing[0][:80]}” does not exist. Nothing was saved.", field="dependencies")
    if cycle := _cycle(scope.using, task_id, wanted):
        # A path through tasks that the caller does not see would name them.
        is_seen = scope.is_unrestricted or _present(scope, cycle[1:-1]) >= set(cycle[1:-1])
        path = ": " + " → ".join(cycle) if is_seen else ""
        raise ValidationError(f"Circular dependency{path}. Nothing was saved.", field="dependencies")


def _present(scope: Scope, ids: list[str]) -> set[str]:
    return set(scope.tasks().filter(pk__in=ids).order_by().values_list("pk", flat=True))


def _cycle(using: str, task_id: str, wanted: list[str]) -> list[str]:
    """Return the path by which a task would depend on itself, or nothing.

    A breadth-first search that reads one level at a time: graphlib would need the whole table.
    """
    paths = {name: [task_id, name] for name in wanted}
    front = list(paths)
    while front:
        if task_id in front:
            return paths[task_id]
        edges = models.TaskDependency.objects.using(using).filter(task_id__in=front)
        front = []
        for owner, dependency in edges.values_list("task_id", "depends_on_id"):
            if dependency not in paths:
                paths[dependency] = [*paths[owner], dependency]
                front.append(dependency)
    return []


def change_edges(using: str, task_id: str, wanted: list[str], previous: list[str]) -> None:
    """Give the task the edges of dependencies that are new, and take away those that it no longer has.

    An edge that is missing for a dependency that it had already is not added: the orchestrator saves the row and its
    edges in separate statements, and would fail on an edge of ours that it is about to insert.
    """
    if not wanted:
        fast_rows.delete(models.TaskDependency, using, task_id=task_id)
        return
    edges = models.TaskDependency.objects.using(using).filter(task_id=task_id)
    edges.exclude(depends_on_id__in=wanted).delete()
    present = set(edges.values_list("depends_on_id", flat=True))
    add_edges(using, [(task_id, name) for name in wanted if name not in present.union(previous)])


def bring_back_edges(using: str, task: models.Task, recorded: list[tuple[str, str, bool]] | None) -> None:
    """Add the edges that went with a deleted task: those recorded, or without a record those that lists name.

    An edge that a list named comes back only if the list still does: the task may have been edited since.
    """
    if recorded is None:
        owners = models.Task.objects.using(using).naming(task.pk).values_list("pk", "dependencies")
        pairs = [(owner, task.pk) for owner, text in owners if task.pk in readable_dependency_ids(text)]
    else:
        lists = load(models.Task.objects.using(using).all(), [owner for owner, _, _ in recorded])
        pairs = [
            (owner, dependency)
            for owner, dependency, was_listed in recorded
            if not was_listed or dependency in _listed_by(lists[owner])
        ]
    present = models.TaskDependency.objects.using(using).filter(task_id__in=[owner for owner, _ in pairs])
    add_edges(using, set(pairs) - set(present.values_list("task_id", "depends_on_id")))
    own = models.TaskDependency.objects.using(using).filter(task_id=task.pk)
    check_dependencies(Scope(using=using), task.pk, list(own.values_list("depends_on_id", flat=True)), may_be_gone=True)


def _listed_by(task: models.Task | None) -> list[str]:
    return [] if task is None else readable_dependency_ids(task.dependencies)


def present_edges(using: str, pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of some edges that are in the table."""
    wanted, present = set(pairs), set[tuple[str, str]]()
    for ids in batched(sorted({task_id for task_id, _ in wanted}), limits.IDS_AT_ONCE):
        rows = models.TaskDependency.objects.using(using).filter(task_id__in=ids)
        present.update(rows.values_list("task_id", "depends_on_id"))
    return wanted & present


def kept_edges(lists: Mapping[str, tuple[str | None, str | None]]) -> Iterator[tuple[str, str]]:
    """Yield the edges that lists name before and after a change, by {task id: its list before, and after}."""
    for task_id, (before, after) in lists.items():
        for name in set(readable_dependency_ids(before)) & set(readable_dependency_ids(after)):
            yield task_id, name


def remove_dropped_edges(using: str, lists: Mapping[str, tuple[str | None, str | None]]) -> None:
    """Remove the edges to what some tasks no longer depend on, by {task id: its list before, and after}."""
    for task_id, (before, after) in lists.items():
        dropped = set(readable_dependency_ids(before)) - set(readable_dependency_ids(after))
        if dropped and before != after:
            edges = models.TaskDependency.objects.using(using).filter(task_id=task_id, depends_on_id__in=dropped)
            edges.delete()


def add_edges(using: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Add edges between tasks that exist; pairs of a task and one that it depends on."""
    pairs = list(dict.fromkeys(pairs))
    ids = {task_id for pair in pairs for task_id in pair}
    alive = set(models.Task.objects.using(using).filter(pk__in=ids).values_list("pk", flat=True))
    models.TaskDependency.objects.using(using).bulk_create(
        models.TaskDependency(task_id=task_id, depends_on_id=dependency)
        for task_id, dependency in pairs
        if task_id in alive and dependency in alive
    )
