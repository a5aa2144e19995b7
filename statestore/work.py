"""Writing what agents work on: tasks with their dependencies, sessions."""

import json
from collections.abc import Mapping
from typing import Any

from statestore import audit, dialect, models, seen
from statestore.audit import Actor
from statestore.errors import Conflict, NotFound, SerializationError, ValidationError


def as_text(value: Any, what: str = "state") -> str:
    """Return a value as the column holds it: text stays as it is, anything else becomes JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"The {what} cannot be written as JSON: {error}. Nothing was changed.") from None


def optional_text(value: Any, what: str = "metadata") -> str | None:
    """Return a value as its column holds it, or None for none."""
    return None if value is None else as_text(value, what)


def save_task(
    using: str, task: Mapping[str, Any], *, by: Actor, if_match: str | None = None, only_new: bool = False, **also: Any
) -> models.Task:
    """Save a task and its edges over an earlier one of the same id, and return it; with `only_new` that is a Conflict.

    `dependencies` is a list of task ids; where it is not given, those that the task has stay. `also` goes into the
    audit entry, beside what changed.
    """
    with dialect.writing(using):
        # Read inside: what is not given stays as it is now, not as it was before somebody else's save.
        row, before = _task_row(using, task)
        if only_new and before is not None:
            raise Conflict(f"There is a task “{row.pk[:80]}” already. Nothing was changed.")
        seen.check(before, if_match)
        wanted = dependency_ids(row.dependencies)
        check_dependencies(using, row.pk, wanted)
        row.updated_at = models.now()
        _write(using, row, before, by, also)
        replace_edges(using, row.pk, wanted)
    return row


def _write(using: str, row: Any, before: Any, by: Actor, also: Mapping[str, Any]) -> None:
    """Write a row that was made or edited, and say so in the audit log, with its columns before and after."""
    row.save(using=using, force_insert=before is None, force_update=before is not None)
    changed = _columns(row) if before is None else changed_columns(before, row)
    what = "create" if before is None else "edit"
    audit.record(what, row, by=by, row_id=row.pk, using=using, **changed, **also)


def _task_row(using: str, task: Mapping[str, Any]) -> tuple[models.Task, models.Task | None]:
    known = {field.attname for field in models.Task._meta.concrete_fields if field.editable}
    if unknown := set(task) - known:
        raise ValidationError(f"A task has no field {min(unknown)}. Nothing was saved.")
    columns = dict(task)
    for column in ("metadata", "dependencies"):
        if column in columns:
            columns[column] = optional_text(columns[column], column)
    before = models.Task.objects.using(using).select_for_update().filter(pk=task.get("id", "")).first()
    now = models.now()
    row = models.Task(**{"created_at": now, "updated_at": now, **(_columns(before) if before else {}), **columns})
    _check_choices(row, before)
    return row, before


def _columns(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


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
            raise ValidationError(f"“{getattr(task, column)}” is no {column} of a task; use one of {words}.")


def move_task(using: str, task_id: str, status: str, *, etag: str, by: Actor) -> models.Task:
    """Give a task another status, and return it. Raises Conflict where it is not the one that was seen."""
    if status not in models.TaskStatus.values:
        raise ValidationError(
            f"“{status[:40]}” is no status of a task; use one of {', '.join(models.TaskStatus.values)}."
        )
    with dialect.writing(using):
        task = models.Task.objects.using(using).select_for_update().filter(pk=task_id).first()
        if task is None:
            raise NotFound("There is no task of this id any more. Nothing was changed.")
        if models.row_hash(task) != etag:
            raise Conflict("Somebody changed this task since you looked at it. Nothing was moved; look at it again.")
        before = task.status
        if before != status:
            task.status, task.updated_at = status, models.now()
            task.save(using=using, update_fields=["status", "updated_at"])
            audit.record("move", task, by=by, row_id=task.pk, using=using, status=[before, status])
    return task


def delete(using: str, row: Any, *, by: Actor, if_match: str | None = None, **also: Any) -> None:
    """Delete a task with the edges from and to it, or a session; its events stay. Raises NotFound where it is gone."""
    with dialect.writing(using):
        # Read inside: what is kept for bringing it back is what it is now, not what somebody saw before.
        present = type(row).objects.using(using).select_for_update().filter(pk=row.pk).first()
        seen.check(present, if_match)
        if present is None:
            raise NotFound(f"The {row._meta.verbose_name} is gone already. Nothing was changed.")
        audit.record("delete", present, by=by, row_id=present.pk, using=using, **_columns(present), **also)
        present.delete(using=using)


def dependency_ids(text: str | None) -> list[str]:
    """Return the task ids in a task's `dependencies` column. Raises ValidationError where it is no list of texts."""
    try:
        ids = json.loads(text or "[]")
    except (ValueError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise ValidationError(
            'Dependencies are a JSON list of task ids, such as ["id-1", "id-2"].', field="dependencies"
        )
    return list(dict.fromkeys(ids))


def check_dependencies(using: str, task_id: str, wanted: list[str]) -> None:
    """Raise ValidationError where a dependency does not exist, or where a task would wait for itself in the end."""
    present = set(models.Task.objects.using(using).filter(pk__in=wanted).values_list("pk", flat=True))
    if missing := [one for one in wanted if one not in present and one != task_id]:
        raise ValidationError(
            f"There is no task “{missing[0][:80]}” to depend on. Nothing was saved.", field="dependencies"
        )
    if circle := _circle(using, task_id, wanted):
        raise ValidationError(
            "These dependencies go in a circle: " + " → ".join(circle) + ". Nothing was saved.", field="dependencies"
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


def changed_columns(before: Any, after: Any) -> dict[str, Any]:
    """Return {column: [before, after]} for what differs between two versions of a row."""
    old, new = _columns(before), _columns(after)
    return {column: [old[column], new[column]] for column in new if old[column] != new[column]}


def start_session(using: str, agent_id: str, *, session_id: str | None, metadata: Any, by: Actor) -> models.Session:
    """Open a session of an agent and return it."""
    columns: dict[str, Any] = {"agent_id": agent_id, "started_at": models.now(), "status": "active"}
    if session_id is not None:
        columns["id"] = session_id
    session = models.Session(**columns, metadata=optional_text(metadata))
    with dialect.writing(using):
        if models.Session.objects.using(using).filter(pk=session.pk).exists():
            raise Conflict(f"There is a session “{session.pk[:80]}” already. Nothing was changed.")
        _write(using, session, None, by, {})
    return session


def end_session(using: str, session_id: str, *, status: str, by: Actor, if_match: str | None = None) -> models.Session:
    """Close a session and return it. Raises Conflict where it has ended already."""
    with dialect.writing(using):
        session = models.Session.objects.using(using).select_for_update().filter(pk=session_id).first()
        seen.check(session, if_match)
        if session is None:
            raise NotFound(f"There is no session “{session_id[:80]}” here.")
        if session.ended_at is not None:
            raise Conflict("This session has ended already. Nothing was changed.")
        before = {"ended_at": None, "status": session.status}
        session.ended_at, session.status = max(models.now(), int(session.started_at)), status
        session.save(using=using, update_fields=["ended_at", "status"])
        changed: dict[str, Any] = {column: [old, getattr(session, column)] for column, old in before.items()}
        audit.record("end", session, by=by, row_id=session.pk, using=using, **changed)
    return session


def save_session(
    using: str, session: models.Session, *, by: Actor, if_match: str | None = None, **also: Any
) -> models.Session:
    """Save a session that somebody edited, and return it. Its end may not come before its start."""
    if session.ended_at is not None and session.ended_at < session.started_at:
        raise ValidationError("A session cannot end before it started. Nothing was saved.")
    with dialect.writing(using):
        before = models.Session.objects.using(using).filter(pk=session.pk).first()
        seen.check(before, if_match)
        _write(using, session, before, by, also)
    return session
