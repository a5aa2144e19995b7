"""Snapshots: take and delete."""

from statestore import models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.agents.service import find_agent
from statestore.db import fast_rows, transactions
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models import validation
from statestore.models.audit import Action
from statestore.models.snapshots import SnapshotQuerySet


def take_snapshot(
    using: str,
    agent_id: str,
    description: str | None = None,
    *,
    by: Actor,
    prefix: str | None = None,
    expires_at: int | None = None,
    made_id: str | None = None,
    if_match: str | None = None,
) -> models.Snapshot:
    """Take a snapshot of an agent's state, byte for byte, and return it.

    With `made_id` one that has this id is returned as it is: a call that is repeated makes no second one.
    """
    validation.check_columns(models.Snapshot, {"description": description, "expires_at": expires_at})
    now = models.now()
    if expires_at is not None and expires_at <= now:
        raise ValidationError("A snapshot must expire in the future. Nothing was saved.", field="expires_at")
    with transactions.writing(using):
        agent = find_agent(using, agent_id, prefix=prefix, lock=True, if_match=if_match)
        made = fast_rows.find(models.Snapshot, using, id=made_id, agent_id=agent_id) if made_id else None
        if made is not None:
            return made
        snapshot = models.Snapshot(
            **({} if made_id is None else {"id": made_id}),
            agent_id=agent_id,
            state_data=agent.state_data,
            description=description or None,
            created_at=now,
            expires_at=expires_at,
        )
        fast_rows.insert(snapshot, using)
        if expires_at is not None:
            fast_rows.insert(models.SnapshotExpiry(snapshot_id=snapshot.pk, expires_at=expires_at), using)
        audit.record(
            Action.SNAPSHOT, agent, by=by, using=using, hash_before=agent.etag(), detail={"snapshot": snapshot.pk}
        )
    return snapshot


def delete_snapshot(
    using: str, snapshot_id: str, *, by: Actor, among: SnapshotQuerySet | None = None, if_match: str | None = None
) -> None:
    """Delete a snapshot. A restore whose safety snapshot it is can then no longer be undone.

    Raises Conflict if it is held.
    """
    with transactions.writing(using):
        rows = models.Snapshot.objects.using(using) if among is None else among
        snapshot = rows.filter(pk=snapshot_id).first()
        if snapshot is None:
            raise NotFound(f"Snapshot “{snapshot_id[:80]}” not found.")
        etags.expect(snapshot, if_match)
        holds = models.Hold.objects.using(using)
        if models.Snapshot.objects.using(using).filter(holds.keeps(), pk=snapshot.pk).exists():
            raise Conflict(
                "This snapshot, its agent or its restore is held. Take the hold off first. Nothing was deleted."
            )
        before = models.sha256(snapshot.state_data)
        audit.record(
            Action.DELETE, snapshot, by=by, using=using, row_id=snapshot.agent_id, hash_before=before,
            detail={"snapshot": snapshot.pk, "description": snapshot.description},
        )  # fmt: skip
        models.SnapshotExpiry.objects.using(using).filter(pk=snapshot.pk).delete()
        snapshot.delete(using=using)
