"""What people edit, tasks and sessions: each edit as the audit log has it, seen as a difference, and taken back."""

import json
from dataclasses import dataclass
from typing import Any, Final

from statestore import models
from statestore.access import audited_rows, etags
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.db.routers import store_alias
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.sessions import service as session_service
from statestore.tasks import service as task_service

_TABLES: Final[dict[str, type[Any]]] = {"task": models.Task, "session": models.Session}
NOUNS: Final = tuple(_TABLES)
# What changed some columns says which, before and after; the others, what the whole row was.
_CHANGES: Final = ("edit", "move", "end")
VERBS: Final = (*_CHANGES, "create", "delete")
# The database and the verbs fill these in by themselves.
_KEPT_BY_US: Final = {"updated_at", "created_timestamp", "created_at"}


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a row: its columns before and after, as far as they differ; all of them where it came or went.

    `reverts` is the number of the entry that it took back, None for any other edit.
    """

    entry: models.AuditEntry
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reverts: int | None = None

    @property
    def is_revertible(self) -> bool:
        """Whether there is something to go back to."""
        return self.before is not None or self.after is not None

    @property
    def texts(self) -> tuple[str, str]:
        """Both sides as JSON, for a comparison."""
        before, after = (json.dumps(side or {}, ensure_ascii=False) for side in (self.before, self.after))
        return before, after


def edit_of(entry: models.AuditEntry) -> Edit | None:
    """Return what an audit entry says was edited, or None for an entry of another kind."""
    if entry.noun not in _TABLES or entry.verb not in VERBS:
        return None
    detail: dict[str, Any] = json.loads(entry.detail or "{}")
    reverts = detail.pop("reverts", None)
    if entry.verb in _CHANGES:
        pairs = {column: pair for column, pair in detail.items() if isinstance(pair, list)}
        before, after = ({column: pair[side] for column, pair in pairs.items()} for side in (0, 1))
        return Edit(entry, before, after, reverts)
    return Edit(entry, detail, None, reverts) if entry.verb == "delete" else Edit(entry, None, detail or None, reverts)


def revert(entry: models.AuditEntry, *, by: Actor, if_match: str | None = None, using: str | None = None) -> Any:
    """Take one edit back and keep the later ones; return the row, or None where it is gone again.

    Raises Moved where the row has not the etag `if_match`, and Conflict, naming the columns, where later edits changed
    the same ones; nothing is written then.
    """
    using, found = using or store_alias(), edit_of(entry)
    if found is None or not found.is_revertible:
        raise ValidationError("This audit entry cannot be undone. Nothing was changed.")
    with transactions.writing(using):
        row = _TABLES[entry.noun].objects.using(using).select_for_update().filter(pk=entry.row_id).first()
        etags.expect(row, if_match)
        if entry.verb == "delete":
            return _recreated(found, row, using, by)
        if row is None:
            raise NotFound(f"The {entry.noun} was deleted. Nothing was changed. Undo the deletion first.")
        _refuse_moved(found, row)
        if entry.verb == "create":
            return audited_rows.delete(using, row, by=by, reverts=entry.pk)
        columns = {column: value for column, value in (found.before or {}).items() if column not in _KEPT_BY_US}
        return _save(row, columns, entry, using, by)


def _refuse_moved(found: Edit, row: Any) -> None:
    moved = [
        column
        for column, value in (found.after or {}).items()
        if column not in _KEPT_BY_US and getattr(row, column) != value
    ]
    if moved:
        raise Conflict(
            f"Later edits changed the same fields: {', '.join(moved)}. Nothing was written. Edit the row instead."
        )


def _recreated(found: Edit, row: Any, using: str, by: Actor) -> Any:
    entry = found.entry
    if row is not None:
        raise Conflict(f"A {entry.noun} with this id exists again. Nothing was changed.")
    columns = {name: value for name, value in (found.before or {}).items() if name != "created_timestamp"}
    return _save(_TABLES[entry.noun](pk=entry.row_id), columns, entry, using, by)


def _save(row: Any, columns: dict[str, Any], entry: models.AuditEntry, using: str, by: Actor) -> Any:
    if isinstance(row, models.Task):
        return task_service.save_task(using, {**columns, "id": row.pk}, by=by, reverts=entry.pk)
    for column, value in columns.items():
        setattr(row, column, value)
    return session_service.save_session(using, row, by=by, reverts=entry.pk)


def entries(among: Any = None, *, using: str | None = None) -> Any:
    """Return the audit entries that are edits, of those given."""
    rows = models.AuditEntry.objects.using(using or store_alias()) if among is None else among
    return rows.filter(noun__in=NOUNS, verb__in=VERBS)


def history_of(noun: str, row_id: str, *, limit: int = 50, using: str | None = None) -> list[Edit]:
    """Return the newest edits of one task or session."""
    entries = models.AuditEntry.objects.using(using or store_alias()).about(row_id).newest_first()
    found = (edit_of(entry) for entry in entries.filter(noun=noun)[:limit])
    return [one for one in found if one is not None]


def find(entry_id: int, *, using: str | None = None) -> models.AuditEntry:
    """Return an audit entry. Raises NotFound."""
    entry: models.AuditEntry | None = (
        models.AuditEntry.objects.using(using or store_alias()).filter(pk=entry_id).first()
    )
    if entry is None:
        raise NotFound("Audit entry not found.")
    return entry
