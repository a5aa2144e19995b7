"""One thing done to each of many agents, each in a transaction of its own; of those that refused it, why."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from statestore import models
from statestore.errors import StateStoreError, ValidationError
from statestore.store import StateStore

MAX_AGENTS: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one agent: the snapshot or transition that was made, None for none; and why it was refused."""

    agent_id: str
    made: Any = None
    refusal: str = ""


def snapshot_each(
    store: StateStore, agent_ids: Sequence[str], description: str = "", *, seed: str | None = None
) -> list[Outcome]:
    """Take a snapshot of each agent, and return what became of each; under one seed, one of each and no second."""

    def take(agent_id: str) -> models.Snapshot:
        made_id = None if seed is None else str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {agent_id}"))
        return store.create_snapshot(agent_id, description or "Taken with others", made_id=made_id)

    return _each(agent_ids, take)


def change_status_of_each(
    store: StateStore, agent_ids: Sequence[str], status: str, *, reason: str = ""
) -> list[Outcome]:
    """Give each agent a status, and return what became of each; one that has it already is left as it is."""
    return _each(agent_ids, lambda agent_id: store.update_agent_status(agent_id, status, reason=reason))


def _each(agent_ids: Sequence[str], verb: Callable[[str], Any]) -> list[Outcome]:
    chosen = list(dict.fromkeys(agent_ids))
    if not 1 <= len(chosen) <= MAX_AGENTS:
        raise ValidationError(f"Choose 1 to {MAX_AGENTS} agents. Nothing was changed.")
    return [_outcome(agent_id, verb) for agent_id in chosen]


def _outcome(agent_id: str, verb: Callable[[str], Any]) -> Outcome:
    try:
        return Outcome(agent_id, verb(agent_id))
    except StateStoreError as error:
        return Outcome(agent_id, refusal=str(error))
