"""Rows of tasks and sessions that are written and deleted with an audit entry of their columns before and after."""

from collections.abc import Mapping
from typing import Any

from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.errors import NotFound


def write(using: str, row: Any, before: Any, by: Actor, also: Mapping[str, Any]) -> None:
    """Write a row that was made or edited, and say so in the audit log, with its columns before and after."""
    row.save(using=using, force_insert=before is None, force_update=before is not None)
    changed = columns_of(row) if before is None else changed_columns(before, row)
    what = "create" if before is None else "edit"
    audit.record(what, row, by=by, row_id=row.pk, using=using, **changed, **also)


def columns_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.generated}


def delete(using: str, row: Any, *, by: Actor, if_match: str | None = None, **also: Any) -> None:
    """Delete a task with the edges from and to it, or a session; its events stay. Raises NotFound where it is gone."""
    with transactions.writing(using):
        # Read inside: what is kept for bringing it back is what it is now, not what somebody saw before.
        present = type(row).objects.using(using).select_for_update().filter(pk=row.pk).first()
        etags.expect(present, if_match)
        if present is None:
            raise NotFound(f"The {row._meta.verbose_name} is gone already. Nothing was changed.")
        audit.record("delete", present, by=by, row_id=present.pk, using=using, **columns_of(present), **also)
        present.delete(using=using)


def changed_columns(before: Any, after: Any) -> dict[str, Any]:
    """Return {column: [before, after]} for what differs between two versions of a row."""
    old, new = columns_of(before), columns_of(after)
    return {column: [old[column], new[column]] for column in new if old[column] != new[column]}
