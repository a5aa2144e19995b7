"""An agent's recorded changes, walked from the newest back, so long as somebody who waits for a page can bear it."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from math import inf
from typing import Final, NamedTuple

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import NotFound, ValidationError
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json

# So long may one page read the past; what is left is read by the next request, from where this one stopped.
BUDGET_SECONDS: Final = 0.25
# A question that is open makes the orchestrator wait in rollback-journal mode: each is over after so many rows.
QUESTION_ROWS: Final = 500
# A state may have 50 MB: only so many rows are in memory at once.
FETCHED_ROWS: Final = 4
# What stands for the reason of a change that only a trigger saw.
CAPTURED: Final = "captured"
_BEFORE_ALL: Final = -(2**62)
_AFTER_ALL: Final = 2**62
_COLUMNS: Final = ("pk", "timestamp", "rowid", "reason", "state_before", "state_after")


class Position(NamedTuple):
    """Where a walk stands: between the step with this time and insertion order and all older ones.

    Of one second the recorded steps count as newer than the captured ones.
    """

    at: int
    rowid: int
    is_captured: bool = False

    def __str__(self) -> str:
        return f"{self.at}.{self.rowid}{'c' if self.is_captured else ''}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position that a URL names; None, the newest, for nothing. Raises ValidationError."""
        if not text:
            return None
        try:
            at, _, rowid = text[:60].partition(".")
            return cls(int(at), int(rowid.removesuffix("c")), rowid.endswith("c"))
        except ValueError:
            raise ValidationError("This page's address is damaged. Start again from the newest change.") from None


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded change of an agent's state, with the state on either side."""

    id: str
    at: int
    rowid: int
    reason: str | None
    before: str
    after: str
    is_captured: bool = False

    @property
    def position(self) -> Position:
        return Position(self.at, self.rowid, self.is_captured)


@dataclass(slots=True)
class Walk:
    """The steps of an agent, newest first, for a bounded time (None: to the end). Afterwards it says how far it came.

    `reached` is the position from which to go on, None at the end of the past; `read` counts the steps.
    """

    agent_id: str
    using: str = field(default_factory=store_alias)
    start: Position | None = None
    budget_seconds: float | None = BUDGET_SECONDS
    reached: Position | None = None
    read: int = 0

    def __iter__(self) -> Iterator[Step]:
        self.reached = self.start
        ends_at = time.monotonic() + (inf if self.budget_seconds is None else self.budget_seconds)
        is_over = False
        while not is_over:
            is_over = True
            for step in self._steps(self.reached):
                self.read += 1
                self.reached, is_over = step.position, False
                yield step
                if time.monotonic() > ends_at:
                    return
        self.reached = None

    def _steps(self, position: Position | None) -> Iterator[Step]:
        """Yield steps older than a position, newest first: none, only where there are none."""
        with translated_errors():
            sources = [self._recorded(position)]
            if models.Captured.objects.using(self.using).filter(agent_id=self.agent_id).exists():
                sources.append(self._captured(position))
            yield from _merged(sources)

    def _recorded(self, position: Position | None) -> Iterator[Step]:
        steps = models.Transition.objects.using(self.using).of_agent(self.agent_id)
        if position is not None:
            steps = steps.older_than(position.at, _BEFORE_ALL if position.is_captured else position.rowid)
        rows = steps.newest_first().values_list(*_COLUMNS)[:QUESTION_ROWS]
        yield from (Step(*row) for row in rows.iterator(chunk_size=FETCHED_ROWS))

    def _captured(self, position: Position | None) -> Iterator[Step]:
        changes = models.Captured.objects.using(self.using).of_agent(self.agent_id)
        if position is not None:
            changes = changes.older_than(position.at, position.rowid if position.is_captured else _AFTER_ALL)
        for change in changes.newest_first()[:QUESTION_ROWS].iterator(chunk_size=FETCHED_ROWS):
            step = change.as_transition()
            yield Step(step.pk, change.at, change.pk, CAPTURED, step.state_before, step.state_after, is_captured=True)


def _merged(sources: list[Iterator[Step]]) -> Iterator[Step]:
    """Yield the steps of all sources, newest first, up to where one of them may have more than it was asked for."""
    seen: Counter[bool] = Counter()
    for step in merge(*sources, key=lambda step: (-step.at, step.is_captured, -step.rowid)):
        yield step
        seen[step.is_captured] += 1
        if seen[step.is_captured] == QUESTION_ROWS:
            return


class Parser:
    """Parses the states of a walk, and remembers the last three: each stands in two steps, one after the other."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def __call__(self, text: str) -> Json:
        """Return the value of a state; of one that is no JSON its text, made unlike any string."""
        if text not in self._known:
            while len(self._known) > 2:
                del self._known[next(iter(self._known))]
            try:
                self._known[text] = parsing.parse(text)
            except parsing.NotJson:
                self._known[text] = f"\0{text}"
        return self._known[text]


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a change: a step by its id, or where `step_id` is None, something that nobody recorded.

    Such a change came after `after` and at the latest at `at`.
    """

    step_id: str | None
    at: int
    reason: str | None = None
    after: int | None = None


def pairs(walk: Walk, text: str, at: int) -> Iterator[tuple[str, str, Origin]]:
    """Yield (state before, state after, origin) of a walk that begins below a state, gaps in the record included.

    Where a step does not lead to the state that comes after it, something changed it that nobody recorded.
    """
    for step in walk:
        if step.after != text:
            yield step.after, text, Origin(None, at, after=step.at)
        if step.before != step.after:
            yield step.before, step.after, Origin(step.id, step.at, step.reason)
        text, at = step.before, step.at


def start_of(agent: models.AgentState, position: Position | None, using: str) -> tuple[str, int]:
    """Return the state from which a walk goes back, and when that was: the present, or before the step reached."""
    if position is None:
        return str(agent.state_data), int(agent.updated_at)
    with translated_errors():
        if position.is_captured:
            changes = models.Captured.objects.using(using).filter(agent_id=agent.agent_id, pk=position.rowid)
            row = changes.values_list("state_before").first()
        else:
            steps = models.Transition.objects.using(using).of_agent(agent.agent_id)
            row = steps.filter(timestamp=position.at, rowid=position.rowid).values_list("state_before").first()
    if row is None:
        raise NotFound("The place up to which the past was read is gone. Start again from the newest change.")
    return str(row[0]), position.at
