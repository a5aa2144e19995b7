"""When a condition on an agent's state became true, and when false again."""

from dataclasses import dataclass, field
from functools import lru_cache

from statestore import models
from statestore.db.routers import store_alias
from statestore.history import limits
from statestore.history.past import Position
from statestore.history.walk import Cause, HistoryWalk, pairs, start_of, state_parser
from statestore.jsondiff.predicate import Condition


@dataclass(frozen=True, slots=True)
class Flip:
    """One time at which the condition became true or false, and what made it so."""

    origin: Cause
    became: bool


@dataclass(slots=True)
class Flips:
    """The flips of a condition, newest first, as far as they were read; `held_first` is what it was before them.

    To go on, ask from `reached`; where that is None the whole past was read.
    """

    held_last: bool
    held_first: bool
    flips: list[Flip] = field(default_factory=list)
    reached: Position | None = None
    read: int = 0

    @property
    def first(self) -> Flip | None:
        """The first time, of those read, at which the condition became true."""
        return next((flip for flip in reversed(self.flips) if flip.became), None)


def bisect(
    agent: models.AgentState,
    condition: Condition,
    *,
    start: Position | None = None,
    using: str | None = None,
    budget_seconds: float | None = limits.WALK_SECONDS,
) -> Flips:
    """Return when a condition became true and false, back from now or from where an earlier reading stopped."""
    using = using or store_alias()
    text, at = start_of(agent, start, using)
    parse = state_parser()

    # Most states are the same on both sides of a pair.
    @lru_cache(maxsize=3)
    def holds(state: str) -> bool:
        return condition.holds(parse(state))

    walk = HistoryWalk(agent.agent_id, using, start=start, budget_seconds=budget_seconds)
    result = Flips(holds(text), holds(text))
    for before, after, origin in pairs(walk, text, at):
        if holds(before) != holds(after):
            result.flips.append(Flip(origin, became=holds(after)))
        result.held_first = holds(before)
    result.reached, result.read = walk.reached, walk.read
    return result
