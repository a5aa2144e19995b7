"""Restores in one call, by somebody who has looked at no preview: bound to what they saw, if they say what that was."""

from statestore import models
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved
from statestore.history import moments
from statestore.restore.apply import apply, plan_undo, verify
from statestore.restore.plans import Plan, agent_now, expecting, plan


def restore_now(
    snapshot: models.Snapshot, *, by: Actor, if_match: str | None = None, reason: str = ""
) -> models.Restore:
    """Put a snapshot back and return the restore. Raises Moved, with the present etag, where it is not the one seen."""
    planned = plan(snapshot.agent_id, moments.AtSnapshot(snapshot.pk))
    return _applied(planned, by=by, if_match=if_match, reason=reason)


def undo_now(restored: models.Restore, *, by: Actor, if_match: str | None = None, reason: str = "") -> models.Restore:
    """Undo a restore and return the new one.

    Who does not say which row they saw is taken to have seen what the restore wrote: Conflict where that is not the
    state any more, since undoing would overwrite a change that they have not seen.
    """
    if if_match is None and not verify(restored).in_force:
        raise Conflict(
            "The agent has changed since this restore: undoing it would overwrite that. Nothing was written; look at"
            " the agent, then send its ETag as If-Match."
        )
    return _applied(plan_undo(restored), by=by, if_match=if_match, reason=reason, undoes=restored)


def _applied(
    planned: Plan, *, by: Actor, if_match: str | None, reason: str, undoes: models.Restore | None = None
) -> models.Restore:
    if if_match is not None:
        planned = expecting(planned, if_match)
    try:
        return apply(planned, by=by, reason=reason, undoes=undoes)
    except Moved as error:
        present = agent_now(planned.agent.agent_id, planned.using or store_alias()).etag()
        raise Moved(str(error), present) from None
