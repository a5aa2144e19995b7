"""Writing an agent's row: created or overwritten, with the transition that records it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from statestore import audit, dialect, models, plain, seen
from statestore.audit import Actor
from statestore.errors import Conflict, Moved, NotFound, ValidationError
from statestore.work import as_text


@dataclass(frozen=True, slots=True)
class Saved:
    """An agent as it is now, whether it is new, and the transition that records the change, None without one."""

    agent: models.AgentState
    is_new: bool
    transition: models.Transition | None


def save_agent(
    using: str,
    agent_id: str,
    columns: Mapping[str, Any],
    *,
    prefix: str | None = None,
    reason: str | None = None,
    record: bool = False,
    if_match: str | None = None,
    only_new: bool = False,
) -> Saved:
    """Create an agent or overwrite some of its columns, in one transaction.

    The change of its state is recorded where there is a reason, and with `record` also without one. Raises NotFound for
    a new agent without a state, Moved where the row is not the one seen or, with `only_new`, where there is one.
    """
    if not agent_id:
        raise ValidationError("An agent needs an id.")
    with dialect.writing(using):
        found = plain.find(models.AgentState, using, "agent_id", agent_id, lock=True)
        _check(found, agent_id, prefix, if_match, only_new)
        state_before = found.state_data if found else ""
        if found is not None:
            # As when the orchestrator saves: an agent in the trash comes back, and is shown as revived.
            agent = update(using, found, {**columns, "is_deleted": 0} if found.is_deleted else columns)
        elif "state_data" in columns:
            agent = _insert(using, agent_id, prefix, columns)
        else:
            raise NotFound(f"There is no agent “{agent_id[:80]}” here. Check the id and the namespace.")
        is_recorded = reason is not None or (record and not models.same_text(state_before, agent.state_data))
        transition = record_change(using, agent, state_before, reason) if is_recorded else None
    return Saved(agent, found is None, transition)


def change_agent(
    using: str, agent_id: str, columns: Mapping[str, Any], *, by: Actor, reason: str = "", if_match: str | None = None
) -> Saved:
    """Change some columns of an agent on behalf of somebody, who stands in the audit log.

    Raises Conflict for one in the trash: an orchestrator's save brings it back, a person says so.
    """
    with dialect.writing(using):
        found = models.AgentState.objects.using(using).select_for_update().filter(agent_id=agent_id).first()
        check_alive(found)
        saved = save_agent(using, agent_id, columns, reason=reason or None, record=True, if_match=if_match)
        hashes = {"hash_before": found.etag() if found else "", "hash_after": saved.agent.etag()}
        audit.record(
            "change", saved.agent, by=by, using=using, columns=", ".join(sorted(columns)), reason=reason, **hashes
        )
    return saved


def check_alive(agent: models.AgentState | None) -> None:
    """Raise Conflict where an agent is in the trash."""
    if agent is not None and agent.is_deleted:
        raise Conflict("This agent is in the trash. Nothing was changed; bring it back first.")


def _check(
    found: models.AgentState | None, agent_id: str, prefix: str | None, if_match: str | None, only_new: bool
) -> None:
    if found is not None and prefix is not None and found.key != f"{prefix}:{agent_id}":
        raise Conflict(
            f"The id “{agent_id[:80]}” is taken in another namespace. Ids are unique across all: saving would"
            " delete that agent. Choose another id."
        )
    if only_new and found is not None:
        raise Moved(f"There is an agent “{agent_id[:80]}” already. Nothing was changed.", found.etag())
    seen.check(found, if_match)


def _insert(using: str, agent_id: str, prefix: str | None, columns: Mapping[str, Any]) -> models.AgentState:
    key = agent_id if prefix is None else f"{prefix}:{agent_id}"
    now = models.now()
    columns = {"name": agent_id, **columns}
    agent = models.AgentState(key=key, agent_id=agent_id, created_at=now, updated_at=now, **columns)
    plain.insert(agent, using)
    return agent


def update(using: str, agent: models.AgentState, columns: Mapping[str, Any]) -> models.AgentState:
    """Write some columns of an agent, and when."""
    written = {**columns, "updated_at": models.now()}
    for column, value in written.items():
        setattr(agent, column, value)
    plain.update(agent, using, written)
    return agent


def record_change(
    using: str, agent: models.AgentState, state_before: str, reason: str | None, **metadata: Any
) -> models.Transition:
    """Record that an agent's state became what it is, and return the transition."""
    transition = models.Transition(
        agent_id=agent.agent_id,
        state_before=state_before,
        state_after=agent.state_data,
        reason=reason,
        timestamp=models.now(),
        metadata=as_text(metadata) if metadata else None,
    )
    plain.insert(transition, using)
    return transition
