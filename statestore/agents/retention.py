"""Permanent deletion, in chunks that the orchestrator hardly waits for."""

from collections.abc import Callable

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.agents import limits
from statestore.db import transactions
from statestore.db.fields import readable
from statestore.errors import Conflict
from statestore.models.audit import Action
from statestore.models.snapshots import SnapshotQuerySet


def purge_agent(using: str, find: Callable[[], models.AgentState], *, by: Actor) -> None:
    """Delete an agent in the trash with its transitions and snapshots; its events and restores stay.

    The past goes first, chunk by chunk; a purge that was interrupted can be repeated. `find` reads the agent again.
    Raises Conflict if the agent, or one of its snapshots or restores, is held.
    """
    agent_id = _in_trash(find()).agent_id
    snapshots = models.Snapshot.objects.using(using).of_agent(agent_id)
    holds = models.Hold.objects.using(using)
    if holds.on("agent", agent_id).exists() or snapshots.filter(holds.keeps()).exists():
        raise Conflict(
            "This agent is held, or one of its snapshots or restores is. Take the hold off first. Nothing was deleted."
        )
    for rows in (models.Transition.objects.using(using), models.Snapshot.objects.using(using)):
        while ids := list(rows.filter(agent_id=agent_id).values_list("pk", flat=True)[: limits.DELETED_ROWS]):
            with transactions.writing(using):
                _in_trash(find())
                rows.filter(pk__in=ids).delete()
    with transactions.writing(using):
        agent = _in_trash(find())
        # The name is told with the entry: it is gone with the row.
        audit.record(
            Action.PURGE, agent, by=by, using=using, hash_before=agent.etag(), detail={"name": readable(agent.name)}
        )
        models.Tombstone.objects.using(using).filter(agent_id=agent_id).delete()
        agent.delete(using=using)


def _in_trash(agent: models.AgentState) -> models.AgentState:
    if not agent.is_deleted:
        raise Conflict("This agent is not in the trash; its orchestrator may have saved it again. Nothing was deleted.")
    return agent


def delete_expired_snapshots(using: str, snapshots: SnapshotQuerySet, *, by: Actor) -> int:
    """Delete the expired snapshots that are not held, and return their number."""
    deleted = 0
    snapshots = snapshots.exclude(models.Hold.objects.using(using).keeps())
    while rows := list(snapshots.expired(models.now()).without_state()[: limits.DELETED_ROWS]):
        with transactions.writing(using):
            for row in rows:
                detail = {"snapshot": row.pk, "description": row.description}
                audit.record(Action.EXPIRE, row, by=by, using=using, detail=detail)
            models.SnapshotExpiry.objects.using(using).filter(pk__in=[row.pk for row in rows]).delete()
            deleted += models.Snapshot.objects.using(using).filter(pk__in=[row.pk for row in rows]).delete()[0]
    return deleted
