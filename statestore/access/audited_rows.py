"""Rows of tasks and sessions that are written and deleted with an audit entry of their columns before and after."""

from collections.abc import Mapping
from typing import Any

from statestore import models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.errors import NotFound


def write(using: str, row: Any, before: Any, by: Actor, also: Mapping[str, Any]) -> None:
    """Write a row that was made or edited, and say so in the audit log, with its columns before and after."""
    if before is None:
        row.save(using=using, force_insert=True)
        audit.record("create", row, by=by, row_id=row.pk, using=using, **columns_of(row), **also)
        return
    changed = changed_columns(before, row)
    told = {column: values for column, values in changed.items() if column != "updated_at"}
    if changed:
        row.save(using=using, force_update=True, update_fields=list(changed))
    # To change the status alone is one deed, wherever it is done: on the board, in the admin, by the API.
    verb = "move" if isinstance(row, models.Task) and told.keys() == {"status"} else "edit"
    audit.record(verb, row, by=by, row_id=row.pk, using=using, **(told if verb == "move" else changed), **also)


def columns_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


def delete(using: str, row: Any, *, by: Actor, if_match: str | None = None, **also: Any) -> None:
    """Delete a task with the edges from and to it, or a session; its events stay. Raises NotFound where it is gone."""
    with transactions.writing(using):
        # Read inside: what is kept for bringing it back is what it is now, not what somebody saw before.
        present = type(row).objects.using(using).select_for_update().filter(pk=row.pk).first()
        etags.expect(present, if_match)
        if present is None:
            raise NotFound(f"The {row._meta.verbose_name} has already been deleted. Nothing was changed.")
        audit.record("delete", present, by=by, row_id=present.pk, using=using, **columns_of(present), **also)
        present.delete(using=using)


def changed_columns(before: Any, after: Any) -> dict[str, Any]:
    """Return {column: [before, after]} for what differs between two versions of a row."""
    old, new = columns_of(before), columns_of(after)
    return {column: [old[column], new[column]] for column in new if old[column] != new[column]}
