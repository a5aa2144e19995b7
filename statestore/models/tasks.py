"""Tasks and their dependencies."""

import json
from functools import reduce
from operator import or_
from typing import Self

from django.db import models
from django.db.models import Count, Q

from statestore.db.fields import InsertionOrder, LenientText, UnixSeconds
from statestore.db.ids import url_of
from statestore.errors import ValidationError
from statestore.models.querysets import BY_CHANGE, AddressedQuerySet
from statestore.models.rows import new_id, now


class TaskStatus(models.TextChoices):
    TODO = "Todo"
    IN_PROGRESS = "InProgress", "In progress"
    DONE = "Done"
    BLOCKED = "Blocked"


class TaskPriority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TaskComplexity(models.TextChoices):
    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"
    EPIC = "epic"


class TaskQuerySet(AddressedQuerySet["Task"]):
    """Pieces of work."""

    def assigned_to(self, agent_id: str) -> Self:
        return self.filter(assigned_to=agent_id)

    def done_after(self, seconds: int) -> Self:
        return self.filter(status="Done", updated_at__gt=seconds)

    def last_changed_first(self) -> Self:
        return self.order_by(*BY_CHANGE)

    def with_text(self, text: str) -> Self:
        """Keep tasks with the text in title or id; ASCII letters match in either case."""
        return self.filter(Q(title__holds=text) | Q(pk__holds=text)) if text else self

    def naming(self, task_id: str) -> Self:
        """Keep tasks whose list of dependencies may name a task: it holds the id as JSON writes it."""
        spellings = {json.dumps(task_id, ensure_ascii=is_ascii) for is_ascii in (True, False)}
        return self.filter(reduce(or_, (Q(dependencies__holds=spelling) for spelling in sorted(spellings))))

    def counts_by_status(self) -> dict[str, int]:
        """Return the number of tasks for each status that occurs."""
        return dict(self.order_by().values_list("status").annotate(number=Count("*")))


class Task(models.Model):
    """A piece of work for agents. Its dependencies are in its own JSON array and, as edges, in task_dependencies."""

    id = LenientText(primary_key=True, default=new_id)
    title = LenientText()
    description = LenientText(null=True, blank=True)
    status = LenientText(default=TaskStatus.TODO.value)
    priority = LenientText(default=TaskPriority.MEDIUM.value)
    complexity = LenientText(default=TaskComplexity.MODERATE.value)
    assigned_to = LenientText(null=True, blank=True)
    dependencies = LenientText(null=True, blank=True, default="[]")
    created_at = UnixSeconds()
    updated_at = UnixSeconds()
    metadata = LenientText(null=True, blank=True)
    created_timestamp = UnixSeconds(editable=False, default=now)
    rowid = InsertionOrder()

    objects = TaskQuerySet.as_manager()

    class Meta:
        db_table = "tasks"

    def __str__(self) -> str:
        return str(self.title)

    def get_absolute_url(self) -> str:
        return url_of("task", self.pk)


class TaskDependency(models.Model):
    """An edge: one task depends on another. The orchestrator's saves may cascade edges away."""

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, models.CASCADE, related_name="waits_for")
    depends_on = models.ForeignKey(Task, models.CASCADE, db_column="depends_on_task_id", related_name="awaited_by")
    created_at = UnixSeconds(default=now)

    class Meta:
        db_table = "task_dependencies"
        verbose_name_plural = "task dependencies"

    def __str__(self) -> str:
        return f"{self.task_id} waits for {self.depends_on_id}"


def edges_around(using: str, task_id: str) -> list[tuple[str, str, bool]]:
    """Return the edges from and to a task, each with whether the list of the task that waits names it too."""
    edges = TaskDependency.objects.using(using).filter(Q(task_id=task_id) | Q(depends_on_id=task_id))
    rows = edges.order_by("pk").values_list("task_id", "depends_on_id", "task__dependencies")
    return [(owner, dependency, dependency in readable_dependency_ids(listed)) for owner, dependency, listed in rows]


def dependency_ids(text: str | None) -> list[str]:
    """Return the task ids in a task's `dependencies` column. Raises ValidationError if it is not a list of strings."""
    try:
        ids = json.loads(text or "[]")
    except (ValueError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise ValidationError(
            'Dependencies are a JSON list of task ids, such as ["id-1", "id-2"].', field="dependencies"
        )
    return list(dict.fromkeys(ids))


def readable_dependency_ids(text: str | None) -> list[str]:
    """Return the task ids in a task's `dependencies` column, none if it is not a list of strings."""
    try:
        return dependency_ids(text)
    except ValidationError:
        return []
