"""Actions on many agents, each in a transaction of its own, with a reason for each refusal."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from statestore import models
from statestore.access.audit import Actor
from statestore.agents import limits
from statestore.agents.service import change_status
from statestore.agents.snapshots import take_snapshot
from statestore.errors import StateStoreError, ValidationError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one agent: the snapshot or transition made, if any, or the reason of the refusal."""

    agent_id: str
    made: models.Snapshot | models.Transition | None = None
    refusal: str = ""


def snapshot_each(
    using: str, agent_ids: Sequence[str], description: str = "", *, by: Actor, seed: str | None = None
) -> list[Outcome]:
    """Take a snapshot of each agent, and return the results; with the same seed none is taken twice."""

    def take(agent_id: str) -> models.Snapshot:
        made_id = None if seed is None else str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {agent_id}"))
        return take_snapshot(using, agent_id, description or "Taken with others", by=by, made_id=made_id)

    return _each(agent_ids, take)


def change_status_of_each(
    using: str, agent_ids: Sequence[str], status: str, *, by: Actor, reason: str = ""
) -> list[Outcome]:
    """Change the status of each agent, and return the results; agents that have it already are left alone."""
    return _each(agent_ids, lambda agent_id: change_status(using, agent_id, status, by=by, reason=reason))


def _each(agent_ids: Sequence[str], verb: Callable[[str], models.Snapshot | models.Transition | None]) -> list[Outcome]:
    chosen = list(dict.fromkeys(agent_ids))
    if not 1 <= len(chosen) <= limits.BULK_AGENTS:
        raise ValidationError(f"Select 1 to {limits.BULK_AGENTS} agents. Nothing was changed.")
    return [_outcome(agent_id, verb) for agent_id in chosen]


def _outcome(agent_id: str, verb: Callable[[str], models.Snapshot | models.Transition | None]) -> Outcome:
    try:
        return Outcome(agent_id, verb(agent_id))
    except StateStoreError as error:
        return Outcome(agent_id, refusal=str(error))
