"""An agent's recorded changes, walked from the newest back within a request's time budget."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from statestore import models
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import limits
from statestore.history.past import CHANGES, Past, Position, Record
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json
from statestore.jsondiff.reparse import NeighbourParser

# The reason of a captured change.
CAPTURED: Final = "captured"
_BEFORE_ALL: Final = -(2**62)
_COLUMNS: Final = ("pk", "timestamp", "rowid", "reason", "state_before", "state_after")


@dataclass(frozen=True, slots=True)
class RecordedChange:
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
        return Position(self.at, self.rowid, "captured" if self.is_captured else "transition")


@dataclass(slots=True)
class HistoryWalk:
    """The changes of an agent, newest first, for a bounded time (None: all). Afterwards it knows how far it got.

    `reached` is the position from which to go on, None at the end of the past; `read` counts the steps.
    """

    agent_id: str
    using: str = field(default_factory=store_alias)
    start: Position | None = None
    budget_seconds: float | None = limits.WALK_SECONDS
    reached: Position | None = None
    read: int = 0

    def __iter__(self) -> Iterator[RecordedChange]:
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

    def _steps(self, position: Position | None) -> Iterator[RecordedChange]:
        """Yield steps older than a position, newest first; at least one if there is one."""
        with translated_errors():
            past = Past(self.agent_id, using=self.using, kinds=CHANGES)
            yield from self._chained(past, position) if "captured" in past.sources else self._recorded(position)

    def _recorded(self, position: Position | None) -> Iterator[RecordedChange]:
        """Yield transitions, in order of insertion, if nothing was captured."""
        steps = models.Transition.objects.using(self.using).of_agent(self.agent_id)
        if position is not None:
            steps = steps.older_than(position.at, position.number if position.kind == "transition" else _BEFORE_ALL)
        rows = steps.newest_first().values_list(*_COLUMNS)[: limits.QUERY_ROWS]
        yield from (RecordedChange(*row) for row in rows.iterator(chunk_size=limits.ROWS_IN_MEMORY))

    def _chained(self, past: Past, position: Position | None) -> Iterator[RecordedChange]:
        """Yield transitions and captured changes in the order of the past, with the states of a few in memory."""
        records = past.page(limits.QUERY_ROWS, position)
        for batch in batched(records, limits.ROWS_IN_MEMORY):
            steps = {step.position: step for step in self._loaded(batch)}
            yield from (steps[record.position] for record in batch if record.position in steps)

    def _loaded(self, records: Sequence[Record]) -> Iterator[RecordedChange]:
        pks = {kind: [record.row.pk for record in records if record.kind == kind] for kind in CHANGES}
        transitions = models.Transition.objects.using(self.using).filter(pk__in=pks["transition"])
        yield from (RecordedChange(*row) for row in transitions.values_list(*_COLUMNS))
        for change in models.CapturedChange.objects.using(self.using).filter(pk__in=pks["captured"]):
            step = change.as_transition()
            yield RecordedChange(
                step.pk, change.at, change.pk, CAPTURED, step.state_before, step.state_after, is_captured=True
            )


def state_parser() -> Callable[[str], Json]:
    """Return a function that parses states and keeps the last three: each is in two neighbouring steps.

    Of a state that is not JSON it returns the text, made unlike any string.
    """
    parser = NeighbourParser()
    kept: deque[tuple[str, Json]] = deque(maxlen=3)

    def parse(text: str) -> Json:
        # Found by comparing, which ends at the first difference; a dictionary would hash the whole text.
        for known, state in kept:
            if known is text or known == text:
                return state
        try:
            state = parser.parse(text)
        except parsing.NotJson:
            state = f"\0{text}"
        kept.appendleft((text, state))
        return state

    return parse


@dataclass(frozen=True, slots=True)
class Cause:
    """What made a change: a step by its id, or, if `step_id` is None, an unrecorded change.

    Such a change came after `after` and at the latest at `at`.
    """

    step_id: str | None
    at: int
    reason: str | None = None
    after: int | None = None


def pairs(walk: HistoryWalk, text: str, at: int) -> Iterator[tuple[str, str, Cause]]:
    """Yield (state before, state after, origin) of a walk that begins below a state, gaps in the record included.

    If a step does not lead to the state after it, an unrecorded change lies between.
    """
    for step in walk:
        # The same string again where it is equal: it is compared and parsed but once.
        after = text if step.after == text else step.after
        if after is not text:
            yield after, text, Cause(None, at, after=step.at)
        if step.before != after:
            yield step.before, after, Cause(step.id, step.at, step.reason)
        text, at = step.before, step.at


def start_of(agent: models.AgentState, position: Position | None, using: str) -> tuple[str, int]:
    """Return the state where a walk starts, and its time: the present, or the state before the step reached."""
    if position is None:
        return str(agent.state_data), int(agent.updated_at)
    with translated_errors():
        if position.kind == "captured":
            changes = models.CapturedChange.objects.using(using).filter(agent_id=agent.agent_id, pk=position.number)
            row = changes.values_list("state_before").first()
        else:
            steps = models.Transition.objects.using(using).of_agent(agent.agent_id)
            row = steps.filter(timestamp=position.at, rowid=position.number).values_list("state_before").first()
    if row is None:
        raise NotFound("The last transition read was deleted. Start again from the newest change.")
    return str(row[0]), position.at
