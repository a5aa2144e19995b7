"""Rows of tasks and sessions, written and deleted with an audit entry of their columns before and after."""

from django.db.models import Model

from statestore import models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import fast_rows, transactions
from statestore.errors import NotFound
from statestore.models.audit import Action
from statestore.models.tasks import edges_around


def write(using: str, row: Model, stored: Model | None, *, by: Actor, reverts: int | None = None) -> None:
    """Write a new row, or the changed columns of one that is stored, and record it in the audit log."""
    if stored is None:
        fast_rows.insert(row, using)
        after = columns_of(row)
        audit.record(Action.CREATE, row, by=by, row_id=row.pk, after=after, reverts=reverts, using=using)
        return
    before, after = changed_columns(stored, row)
    if after:
        fast_rows.update(row, using, after)
    action = Action.EDIT
    if isinstance(row, models.Task) and after.keys() - {"updated_at"} == {"status"}:
        # A change of the status alone is one action wherever it is made: on the board, in the admin, by the API.
        action = Action.MOVE
        before, after = {"status": before["status"]}, {"status": after["status"]}
    audit.record(action, row, by=by, row_id=row.pk, before=before, after=after, reverts=reverts, using=using)


def delete(using: str, row: Model, *, by: Actor, if_match: str | None = None, reverts: int | None = None) -> None:
    """Delete a task with the edges from and to it, or a session; its events stay. Raises NotFound if it is gone."""
    with transactions.writing(using):
        # Read again inside the transaction: undoing the deletion brings back the row as it is now.
        stored = type(row)._default_manager.using(using).select_for_update().filter(pk=row.pk).first()
        etags.expect(stored, if_match)
        if stored is None:
            raise NotFound(f"The {row._meta.verbose_name} has already been deleted. Nothing was changed.")
        before = columns_of(stored)
        # Its edges go with it, those of the tasks that wait for it too: undoing the deletion brings them back.
        detail = {"edges": edges_around(using, stored.pk)} if isinstance(stored, models.Task) else None
        audit.record(
            Action.DELETE, stored, by=by, row_id=stored.pk, before=before, reverts=reverts, detail=detail, using=using
        )
        stored.delete(using=using)


def columns_of(row: Model) -> dict[str, object]:
    """Return {column: value} of a row, without those that the database generates."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


def changed_columns(stored: Model, row: Model) -> tuple[dict[str, object], dict[str, object]]:
    """Return the columns that differ between two versions of a row: {column: value} before, and after."""
    old, new = columns_of(stored), columns_of(row)
    changed = [column for column in new if old[column] != new[column]]
    return {column: old[column] for column in changed}, {column: new[column] for column in changed}
