"""Edits of tasks and sessions: what the audit log says of each, as a difference, and how to undo it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.access import audited_rows, etags
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db import transactions
from statestore.db.routers import store_alias
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models.audit import AuditQuerySet
from statestore.sessions import service as session_service
from statestore.tasks import dependencies
from statestore.tasks import service as task_service

_TABLES: Final[dict[str, type[models.Task | models.Session]]] = {"task": models.Task, "session": models.Session}
NOUNS: Final = tuple(_TABLES)
# The database and the services fill these in: undoing an edit does not bring their old values back.
_MANAGED_COLUMNS: Final = {"updated_at", "created_timestamp", "created_at"}


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a row: the columns that it changed, before and after.

    A new row has no `before`, a deleted one no `after`.
    """

    entry: models.AuditEntry
    before: dict[str, object] | None
    after: dict[str, object] | None

    @property
    def is_revertible(self) -> bool:
        """Whether the log says what was changed: entries of early releases may not."""
        return self.before is not None or self.after is not None

    @property
    def texts(self) -> tuple[str, str]:
        """Both sides as JSON, for a comparison."""
        before, after = (json.dumps(side or {}, ensure_ascii=False) for side in (self.before, self.after))
        return before, after


def edit_of(entry: models.AuditEntry) -> Edit | None:
    """Return the edit that an audit entry records, or None for an entry about another kind of row."""
    if entry.noun not in _TABLES:
        return None
    before, after = (None if side is None else json.loads(side) for side in (entry.before, entry.after))
    return Edit(entry, before, after)


def recorded(write: Callable[[], models.Task | models.Session], *, using: str | None = None) -> models.AuditEntry:
    """Do a write of a task or session, and return the audit entry that it made."""
    using = using or store_alias()
    with transactions.writing(using):
        row = write()
        (edit,) = history_of(str(row._meta.verbose_name), row.pk, limit=1, scope=Scope(using=using))
    return edit.entry


def revert(
    entry: models.AuditEntry, *, by: Actor, if_match: str | None = None, scope: Scope | None = None
) -> models.Task | models.Session | None:
    """Undo one edit and keep later ones; return the row, or None if undoing deleted it.

    Raises Moved if the row's ETag is not `if_match`, and Conflict, which names the columns, if later edits changed the
    same ones, and Forbidden if the row would leave the scope. Nothing is written then.
    """
    scope, edit = scope or Scope(), edit_of(entry)
    using = scope.using
    if edit is None or not edit.is_revertible:
        raise ValidationError("This audit entry cannot be undone. Nothing was changed.")
    with transactions.writing(using):
        row = _TABLES[entry.noun].objects.using(using).select_for_update().filter(pk=entry.row_id).first()
        etags.expect(row, if_match)
        if edit.after is None:
            return _recreate(edit, row, scope, by)
        if row is None:
            raise NotFound(f"The {entry.noun} was deleted. Nothing was changed. Undo the deletion first.")
        _expect_unchanged(edit.after, row)
        if edit.before is None:
            audited_rows.delete(using, row, by=by, reverts=entry.pk)
            return None
        columns = {column: value for column, value in edit.before.items() if column not in _MANAGED_COLUMNS}
        return _save(row, columns, entry, scope, by)


def _expect_unchanged(after: dict[str, object], row: object) -> None:
    """Raise Conflict if a later edit changed one of the columns."""
    written = {column: value for column, value in after.items() if column not in _MANAGED_COLUMNS}
    changed = [column for column, value in written.items() if getattr(row, column) != value]
    if changed:
        raise Conflict(
            f"Later edits changed the same fields: {', '.join(changed)}. Nothing was written. Edit the row instead."
        )


def _recreate(edit: Edit, row: object, scope: Scope, by: Actor) -> models.Task | models.Session:
    entry = edit.entry
    if row is not None:
        raise Conflict(f"A {entry.noun} with this id exists again. Nothing was changed.")
    columns = {name: value for name, value in (edit.before or {}).items() if name != "created_timestamp"}
    made = _save(_TABLES[entry.noun](pk=entry.row_id), columns, entry, scope, by)
    if isinstance(made, models.Task):
        dependencies.bring_back_edges(scope.using, made, _recorded_edges(entry))
    return made


def _recorded_edges(entry: models.AuditEntry) -> list[tuple[str, str, bool]] | None:
    """Return the edges that a deletion took along; None for an entry of an early release, which does not say."""
    edges = json.loads(entry.detail or "{}").get("edges")
    return None if edges is None else [(owner, dependency, listed) for owner, dependency, listed in edges]


def _save(
    row: models.Task | models.Session, columns: dict[str, object], entry: models.AuditEntry, scope: Scope, by: Actor
) -> models.Task | models.Session:
    if isinstance(row, models.Task):
        task = {**columns, "id": row.pk}
        return task_service.save_task(scope.using, task, by=by, reverts=entry.pk, scope=scope)
    for column, value in columns.items():
        setattr(row, column, value)
    return session_service.save_session(scope.using, row, by=by, reverts=entry.pk, scope=scope)


def entries(among: AuditQuerySet | None = None, *, using: str | None = None) -> AuditQuerySet:
    """Return the audit entries that record edits, of all or of those given."""
    rows = models.AuditEntry.objects.using(using or store_alias()) if among is None else among
    return rows.filter(noun__in=NOUNS)


def history_of(noun: str, row_id: str, *, limit: int = 50, scope: Scope | None = None) -> list[Edit]:
    """Return the newest edits of one task or session."""
    rows = (scope or Scope()).audit().about(row_id).filter(noun=noun).newest_first()
    return [edit for entry in rows[:limit] if (edit := edit_of(entry)) is not None]


def find(entry_id: int, *, scope: Scope | None = None) -> models.AuditEntry:
    """Return an audit entry. Raises NotFound, also for one out of scope."""
    entry: models.AuditEntry | None = (scope or Scope()).audit().filter(pk=entry_id).first()
    if entry is None:
        raise NotFound("Audit entry not found.")
    return entry
