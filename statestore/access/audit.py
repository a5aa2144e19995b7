"""Who did what: one append-only entry for each thing that a person did to the store, in the transaction that did it."""

import json
from dataclasses import dataclass
from typing import Any

from statestore import models
from statestore.db.routers import store_alias


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by name (no key joins the two databases), and the network address that the request came from."""

    name: str
    address: str = ""


SYSTEM = Actor("system")


def record(
    verb: str,
    row: Any,
    *,
    by: Actor,
    row_id: str | None = None,
    hash_before: str = "",
    hash_after: str = "",
    using: str | None = None,
    **detail: Any,
) -> models.AuditEntry:
    """Add an entry about one row and return it; call it inside the transaction that changes the row."""
    entry = models.AuditEntry(
        at=models.now(),
        actor=by.name,
        address=by.address,
        verb=verb,
        noun=row._meta.verbose_name,
        row_id=getattr(row, "agent_id", row.pk) if row_id is None else row_id,
        hash_before=hash_before,
        hash_after=hash_after,
        detail=json.dumps(detail, default=str) if detail else "",
    )
    entry.save(using=using or store_alias(), force_insert=True)
    return entry
