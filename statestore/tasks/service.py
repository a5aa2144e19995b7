"""Tasks: saved with their dependencies, moved from one status to another."""

from collections.abc import Mapping

from statestore import models
from statestore.access import audited_rows, etags
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.db.json_columns import optional_text
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models.tasks import dependency_ids
from statestore.tasks.dependencies import check_dependencies, replace_edges


def save_task(
    using: str,
    task: Mapping[str, object],
    *,
    by: Actor,
    if_match: str | None = None,
    only_new: bool = False,
    reverts: int | None = None,
) -> models.Task:
    """Save a task and its edges over an earlier one of the same id, and return it; with `only_new` that is a Conflict.

    `dependencies` is a list of task ids; without it the task keeps those that it has. `reverts` is the id of the audit
    entry that this save undoes.
    """
    with transactions.writing(using):
        # Read inside the transaction: columns that are not given keep their present values, not those seen earlier.
        row, before = _task_row(using, task)
        if only_new and before is not None:
            raise Conflict(f"Task “{row.pk[:80]}” already exists. Nothing was changed.")
        etags.expect(before, if_match)
        wanted = dependency_ids(row.dependencies)
        is_rewired = before is None or before.dependencies != row.dependencies
        if is_rewired:
            check_dependencies(using, row.pk, wanted)
        row.updated_at = models.now()
        audited_rows.write(using, row, before, by=by, reverts=reverts)
        if is_rewired:
            # Only then: the orchestrator saves a row and its edges in separate statements, between which we may come.
            replace_edges(using, row.pk, wanted)
    return row


def _task_row(using: str, task: Mapping[str, object]) -> tuple[models.Task, models.Task | None]:
    known = {field.attname for field in models.Task._meta.concrete_fields if field.editable}
    if unknown := set(task) - known:
        raise ValidationError(f"Unknown task field {min(unknown)}. Nothing was saved.")
    columns = dict(task)
    for column in ("metadata", "dependencies"):
        if column in columns:
            columns[column] = optional_text(columns[column], column)
    before = models.Task.objects.using(using).select_for_update().filter(pk=task.get("id", "")).first()
    now = models.now()
    row = models.Task(
        **{"created_at": now, "updated_at": now, **(audited_rows.columns_of(before) if before else {}), **columns}
    )
    _check_choices(row, before)
    return row, before


def _check_choices(task: models.Task, before: models.Task | None) -> None:
    """Refuse words that are none of the known ones; an odd one that is stored already may stay."""
    if not task.title:
        raise ValidationError("A task needs a title. Nothing was saved.", field="title")
    for column, choices in (
        ("status", models.TaskStatus), ("priority", models.TaskPriority), ("complexity", models.TaskComplexity),
    ):  # fmt: skip
        known = [*choices.values, *([getattr(before, column)] if before else [])]
        if getattr(task, column) not in known:
            words = ", ".join(choices.values)
            raise ValidationError(f"“{getattr(task, column)}” is not a valid task {column}. Use one of {words}.")


def move_task(using: str, task_id: str, status: str, *, if_match: str, by: Actor) -> models.Task:
    """Give a task another status, and return it. Raises Moved if it is not the one that was seen."""
    with transactions.writing(using):
        if not models.Task.objects.using(using).filter(pk=task_id).exists():
            raise NotFound("The task was deleted. Nothing was changed.")
        return save_task(using, {"id": task_id, "status": status}, by=by, if_match=if_match)
