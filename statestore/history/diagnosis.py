"""What an agent's own records say of its trouble: since when, what began it, and what it can be put back to.

Only recorded transitions and snapshots are read; nothing is guessed from what they do not say.
"""

from dataclasses import dataclass
from itertools import takewhile

from statestore import models
from statestore.conversations import alike
from statestore.db.routers import store_alias
from statestore.history import limits
from statestore.models.agents import ACTIVE
from statestore.models.restores import RestoreQuerySet
from statestore.models.transitions import TransitionQuerySet


@dataclass(frozen=True, slots=True)
class Run:
    """The newest transitions in a row whose reasons differ in their numbers alone, at least two.

    `is_longer`: it may go back further than was read.
    """

    reason: str
    count: int
    first: models.Transition
    last: models.Transition
    is_longer: bool


@dataclass(frozen=True, slots=True)
class Growth:
    """How large a state was at most an hour before its last change, and is now, in bytes."""

    before: int
    after: int
    first: models.Transition


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with an agent, as far as its records tell.

    `began` is the transition with which it began, with sizes, None where none is recorded; `snapshot` the last one
    before it.
    `transitions` and `snapshots` are how many records it is based on, up to those that were read.
    """

    has_failed: bool
    is_silent: bool
    is_unchanged: bool
    growth: Growth | None
    last: models.Transition | None
    run: Run | None
    began: models.Transition | None
    snapshot: models.Snapshot | None
    transitions: int
    snapshots: int


def diagnose(agent: models.AgentState, *, silent_since: int, using: str | None = None) -> Diagnosis | None:
    """Return what is wrong with an agent, None if its records tell of nothing.

    It has failed; or is active and has not changed since `silent_since`, repeats a state, or grew tenfold in an hour.
    """
    using = using or store_alias()
    rows = models.Transition.objects.using(using).of_agent(agent.agent_id).newest_first().without_states()
    is_active = agent.status in ACTIVE
    has_failed, is_silent = agent.status == "failed", is_active and agent.updated_at <= silent_since
    newest = list(rows.with_sizes()[: limits.SIZED_TRANSITIONS]) if has_failed or is_active else []
    growth, is_unchanged = _growth(newest), _is_unchanged(rows, newest)
    if not (has_failed or is_silent or growth or is_unchanged):
        return None
    known = list(rows[: limits.DIAGNOSED_TRANSITIONS])
    read = _without_undone(known, models.Restore.objects.using(using).of_agent(agent.agent_id))
    run = _run(read)
    began = growth.first if growth and not has_failed else _before(run, read)
    began = began and rows.with_sizes().filter(pk=began.pk).first()
    snapshots = models.Snapshot.objects.using(using).of_agent(agent.agent_id).without_state()
    # One of the same second may be of the state after.
    earlier = snapshots if began is None else snapshots.until(began.timestamp - 1)
    return Diagnosis(
        has_failed, is_silent, is_unchanged, growth, read[0] if read else None, run, began,
        earlier.with_size().newest_first().first(), len(known), snapshots[: limits.DIAGNOSED_TRANSITIONS].count(),
    )  # fmt: skip


def _without_undone(read: list[models.Transition], restores: RestoreQuerySet) -> list[models.Transition]:
    """Return transitions without a restore and its undo at their end: the trouble is the one that was there before."""
    newest = restores.filter(transition_id__in=[row.pk for row in read[: limits.UNDONE_TRANSITIONS]])
    made = {row.transition_id: row for row in newest}
    while len(read) > 1:
        undo, undone = made.get(read[0].pk), made.get(read[1].pk)
        if undo is None or undone is None or undo.undoes_id != undone.pk:
            break
        read = read[2:]
    return read


def _run(read: list[models.Transition]) -> Run | None:
    forms = [alike.form(str(row.reason or "")[: limits.REASON_CHARACTERS]) for row in read]
    same = [row for row, _ in takewhile(lambda pair: pair[1] == forms[0], zip(read, forms, strict=True))]
    if len(same) < 2 or not forms[0]:
        return None
    reasons = [str(row.reason)[: limits.REASON_CHARACTERS] for row in same]
    return Run(alike.ranges(reasons), len(same), same[-1], same[0], len(same) == limits.DIAGNOSED_TRANSITIONS)


def _before(run: Run | None, read: list[models.Transition]) -> models.Transition | None:
    """Return the transition before a run; without one, the newest: it is the last that is known before the trouble."""
    position = run.count if run else 0
    return read[position] if position < len(read) else None


def _growth(newest: list[models.Transition]) -> Growth | None:
    if not newest:
        return None
    within = [row for row in newest if row.timestamp > newest[0].timestamp - limits.GROWTH_SECONDS]
    before, after = within[-1].size_before, newest[0].size_after  # type: ignore[attr-defined]
    is_grown = after >= limits.GROWN_BYTES and after >= limits.GROWN_TIMES * before > 0
    return Growth(before, after, max(within, key=_grew)) if is_grown else None


def _grew(row: models.Transition) -> int:
    return int(row.size_after - row.size_before)  # type: ignore[attr-defined]


def _is_unchanged(rows: TransitionQuerySet, newest: list[models.Transition]) -> bool:
    """Return whether the last transitions changed nothing in the state."""
    last = newest[: limits.REPEATED_STATES]
    if len(last) < limits.REPEATED_STATES or any(_grew(row) for row in last):
        return False
    if sum(row.size_after for row in last) > limits.REPEATED_BYTES:  # type: ignore[attr-defined]
        return False
    return not rows.filter(pk__in=[row.pk for row in last]).of_changes().exists()
