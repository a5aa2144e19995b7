"""The simulator: what a policy would delete, agent by agent, without deleting anything."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models import PolicyTable, RetentionPolicy
from statestore.retention import limits
from statestore.retention.rows import Going, going


@dataclass(frozen=True, slots=True)
class AgentLoss:
    """What one agent would lose: rows, bytes of states, how many snapshots it keeps, and from when the rows are."""

    agent_id: str
    rows: int
    bytes: int
    first_at: int
    last_at: int
    restore_points_left: int | None = None


@dataclass(slots=True)
class Simulation:
    """What a policy would delete. `is_complete`: every row was looked at in the given time."""

    policy: RetentionPolicy
    rows: int = 0
    bytes: int = 0
    agents: int = 0
    looked_at: int = 0
    largest: list[AgentLoss] = field(default_factory=list)
    is_complete: bool = True


def simulate(
    policy: RetentionPolicy, *, using: str | None = None, now: int | None = None, seconds: float | None = None
) -> Simulation:
    """Return exactly what the policy would delete now; `seconds` bounds the time, and with it the rows looked at."""
    using, now = using or store_alias(), models.now() if now is None else now
    found, until = Simulation(policy), None if seconds is None else time.monotonic() + seconds

    def goes_on() -> bool:
        found.is_complete = found.is_complete and (until is None or time.monotonic() <= until)
        return found.is_complete

    with translated_errors():
        for of_agent in going(policy, using, now=now, go_on=goes_on):
            if not goes_on():
                break
            found.looked_at += 1
            loss = _loss(of_agent, goes_on)
            if loss is not None:
                _add(found, loss)
        found.largest = [_with_restore_points(policy, loss, using) for loss in _largest(found.largest)]
    return found


def _loss(of_agent: Going, goes_on: Callable[[], bool]) -> AgentLoss | None:
    rows = size = 0
    times: list[int] = []
    for row in of_agent.rows:
        if not goes_on():
            break
        rows, size = rows + 1, size + row.bytes
        times = [min(row.at, *times), max(row.at, *times)] if times else [row.at, row.at]
    return AgentLoss(of_agent.agent_id, rows, size, times[0], times[1]) if rows else None


def _add(found: Simulation, loss: AgentLoss) -> None:
    found.agents, found.rows, found.bytes = found.agents + 1, found.rows + loss.rows, found.bytes + loss.bytes
    found.largest.append(loss)
    if len(found.largest) > 2 * limits.NAMED_AGENTS:
        found.largest = _largest(found.largest)


def _largest(losses: Iterable[AgentLoss]) -> list[AgentLoss]:
    return sorted(losses, key=lambda loss: (-loss.bytes, -loss.rows, loss.agent_id))[: limits.NAMED_AGENTS]


def _with_restore_points(policy: RetentionPolicy, loss: AgentLoss, using: str) -> AgentLoss:
    if policy.table != PolicyTable.SNAPSHOTS:
        return loss
    left = models.Snapshot.objects.using(using).of_agent(loss.agent_id).count() - loss.rows
    return AgentLoss(loss.agent_id, loss.rows, loss.bytes, loss.first_at, loss.last_at, left)
