"""The audit log: one append-only, chained entry for each action on the store, in the transaction of the action."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Model

from statestore import models
from statestore.access import audit_chain
from statestore.db.routers import store_alias
from statestore.models.audit import Action


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by name (no key joins the two databases), and the IP address that the request came from.

    `means` is by what they were known: a session, or a token by its prefix; empty for a program on this machine.
    """

    name: str
    ip_address: str = ""
    means: str = ""


SYSTEM = Actor("system")


def record(
    action: Action,
    row: Model | str,
    *,
    by: Actor,
    row_id: str | None = None,
    hash_before: str = "",
    hash_after: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reverts: int | None = None,
    detail: Mapping[str, object] | None = None,
    vouches_for: Sequence[Model] = (),
    using: str | None = None,
) -> models.AuditEntry:
    """Add an entry about a row, or about what `row` names, and return it.

    Call it inside the transaction that makes the change.
    `before` and `after` are the changed columns; `detail` is what else is worth knowing. `vouches_for` are rows that
    are never changed: with their hashes in it, the chain proves them too.
    """
    using = using or store_alias()
    if isinstance(row, str):
        noun, own_id = row, ""
    else:
        noun, own_id = str(row._meta.verbose_name), getattr(row, "agent_id", row.pk)
    entry = models.AuditEntry(
        at=models.now(),
        actor=by.name,
        ip_address=by.ip_address,
        action=action.value,
        noun=noun,
        row_id=own_id if row_id is None else row_id,
        hash_before=hash_before,
        hash_after=hash_after,
        before=_as_json(before),
        after=_as_json(after),
        reverts=reverts,
        detail=_as_json(detail) or "",
        vouched=audit_chain.vouched(vouches_for),
    )
    audit_chain.append(entry, using)
    return entry


def _as_json(columns: Mapping[str, object] | None) -> str | None:
    return None if columns is None else json.dumps(dict(columns), default=str)
