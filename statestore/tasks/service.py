"""Tasks: saved with their dependencies, moved from one status to another."""

from collections.abc import Mapping
from typing import Final

from statestore import models
from statestore.access import audited_rows, etags
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db import fast_rows, transactions
from statestore.db.json_columns import optional_text
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models import validation
from statestore.models.adoption import NEEDS_UUID, unreadable_ids
from statestore.models.tasks import dependency_ids, readable_dependency_ids
from statestore.tasks.dependencies import change_edges, check_dependencies

# Asked of the enumerations at each save, they took a twentieth of it.
_WORDS: Final = {
    "status": models.TaskStatus.values,
    "priority": models.TaskPriority.values,
    "complexity": models.TaskComplexity.values,
}


def save_task(
    using: str,
    task: Mapping[str, object],
    *,
    by: Actor,
    if_match: str | None = None,
    only_new: bool = False,
    reverts: int | None = None,
    scope: Scope | None = None,
) -> models.Task:
    """Save a task and its edges over an earlier one of the same id, and return it; with `only_new` that is a Conflict.

    `dependencies` is a list of task ids; without it the task keeps those that it has, readable or not. `reverts` is the
    id of the audit entry that this save undoes: what was there before comes back as it was.

    In a limited `scope` the task must be of one of its agents, before and after, and new dependencies must be in it.
    """
    scope = scope or Scope(using=using)
    with transactions.writing(using):
        # Read inside the transaction: columns that are not given keep their present values, not those seen earlier.
        row, before = _task_row(using, task)
        if only_new and before is not None:
            raise Conflict(f"Task “{row.pk[:80]}” already exists. Nothing was changed.")
        scope.require_own_task(before)
        scope.require_agent(row.assigned_to, "A task")
        etags.expect(before, if_match)
        if reverts is None:
            _check(using, row, before)
        wanted = _new_dependencies(scope, row, before, is_revert=reverts is not None)
        row.updated_at = models.now()
        audited_rows.write(using, row, before, by=by, reverts=reverts)
        # A task whose id was just made has no edges to take away.
        if wanted or (wanted is not None and task.get("id") is not None):
            change_edges(using, row.pk, wanted, _previous(before))
    return row


def _task_row(using: str, task: Mapping[str, object]) -> tuple[models.Task, models.Task | None]:
    known = {field.attname for field in models.Task._meta.concrete_fields if field.editable}
    if unknown := set(task) - known:
        name = min(map(str, unknown))
        raise ValidationError(f"Unknown task field {name}. Nothing was saved.", field=name)
    columns = dict(task)
    for column in ("metadata", "dependencies"):
        if column in columns:
            columns[column] = optional_text(columns[column], column)
    before = None if task.get("id") is None else fast_rows.find(models.Task, using, id=task["id"], lock=True)
    now = models.now()
    row = models.Task(
        **{"created_at": now, "updated_at": now, **(audited_rows.columns_of(before) if before else {}), **columns}
    )
    return row, before


def _check(using: str, row: models.Task, before: models.Task | None) -> None:
    """Raise ValidationError, with the field, for what the orchestrator could not read; what is stored may stay."""
    validation.check_columns(models.Task, audited_rows.columns_of(row), kept=before)
    _check_choices(row, before)
    if before is None and unreadable_ids(using, models.Task, [row.pk]):
        raise ValidationError(f"The id {NEEDS_UUID}. Nothing was saved.", field="id")


def _new_dependencies(
    scope: Scope, row: models.Task, before: models.Task | None, *, is_revert: bool
) -> list[str] | None:
    """Return the dependencies that a save gives a task, or None if they stay as they are and no edge is touched.

    Only those are checked that it did not have: another one may have been deleted. A revert also brings back what
    cannot be read or has been deleted since.
    """
    if before is not None and before.dependencies == row.dependencies:
        return None
    wanted = (readable_dependency_ids if is_revert else dependency_ids)(row.dependencies)
    previous = _previous(before)
    if before is not None and wanted == previous and _is_readable(before.dependencies):
        # The same ids, perhaps in another spelling: the stored text stays, unless it is itself brought back.
        row.dependencies = row.dependencies if is_revert else before.dependencies
        return None
    check_dependencies(scope, row.pk, [name for name in wanted if name not in previous], may_be_gone=is_revert)
    return wanted


def _previous(before: models.Task | None) -> list[str]:
    return [] if before is None else readable_dependency_ids(before.dependencies)


def _is_readable(dependencies: str | None) -> bool:
    try:
        dependency_ids(dependencies)
    except ValidationError:
        return False
    return True


def _check_choices(task: models.Task, before: models.Task | None) -> None:
    """Refuse words that are none of the known ones; an odd one that is stored already may stay."""
    if not task.title:
        raise ValidationError("A task needs a title. Nothing was saved.", field="title")
    for column, words in _WORDS.items():
        word = getattr(task, column)
        if word not in words and (before is None or word != getattr(before, column)):
            raise ValidationError(
                f"“{word}” is not a valid task {column}. Use one of {', '.join(words)}.", field=column
            )


def move_task(using: str, task_id: str, status: str, *, if_match: str, by: Actor) -> models.Task:
    """Give a task another status, and return it. Raises Moved if it is not the one that was seen."""
    with transactions.writing(using):
        if not models.Task.objects.using(using).filter(pk=task_id).exists():
            raise NotFound("The task was deleted. Nothing was changed.")
        return save_task(using, {"id": task_id, "status": status}, by=by, if_match=if_match)
