"""Forks in a framework's own store: a new thread from a moment of a mirrored one, which its framework goes on with."""

from statestore import history, models
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db import transactions
from statestore.errors import Conflict, StateStoreError, ValidationError
from statestore.history import moments
from statestore.models import validation
from statestore.restore import in_place, limits
from statestore.sources import intended_forks, mirror


def effects(agent: models.AgentState, known: history.KnownState, using: str) -> list[str]:
    """Return in sentences what a fork in the framework's store does; nothing where there is none from this moment."""
    try:
        forker = in_place.forker_of(agent, using)
        return [*forker.fork_effects(known)] if forker else []
    except StateStoreError:
        # The reason is given once a fork is asked for.
        return []


def fork(
    agent: models.AgentState, moment: moments.Moment | str, new_id: str, *, by: Actor, reason: str = "", scope: Scope
) -> models.AgentState:
    """Make a new thread in the framework's store from a moment, mirror it, and return its agent.

    Raises Conflict, with the reason, where that cannot be, and if the framework has a thread with this id.
    """
    using = scope.using
    _check(new_id, reason)
    thread = models.mirrored_thread(agent, using)
    if thread is None:
        raise Conflict("This agent mirrors no thread of another framework's. Nothing was created. Fork it here.")
    forker = in_place.forker_of(agent, using)
    if forker is None:
        raise Conflict("Threads of this format cannot be forked in their own store. Nothing was created. Fork it here.")
    known = history.state_at(agent.agent_id, moments.parse(moment) if isinstance(moment, str) else moment, using=using)
    new_thread = forker.fork_id(new_id)
    with transactions.writing(using):
        intended = intended_forks.note(thread, new_thread, known, by=by, reason=reason, using=using)
        try:
            forker.fork(known, new_id, by)
        except (Conflict, ValidationError):
            # Refused before anything was written. What else fails may have been written: the next look will tell.
            intended_forks.drop(intended)
            raise
    made = mirror.read_thread(thread.source, thread.reader, new_thread, using=using)
    return intended_forks.record(intended, made, using)


def _check(new_id: str, reason: str) -> None:
    if not new_id.strip() or len(new_id) > limits.MAX_ID_CHARACTERS or "\0" in new_id:
        raise ValidationError(
            f"The new thread needs an id of 1 to {limits.MAX_ID_CHARACTERS} characters. Nothing was created.",
            field="agent_id",
        )
    validation.check_columns(models.AgentState, {"agent_id": new_id})
    validation.check_columns(models.Fork, {"reason": reason})
