"""The state of an agent at a moment, and how it is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import OuterRef, QuerySet, Subquery

from statestore import models
from statestore.db import fast_rows
from statestore.db.ids import HashedId, RowId
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import limits, moments
from statestore.history.past import CHANGES, Past, Record
from statestore.models.captured import CapturedChangeQuerySet
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet


@dataclass(frozen=True, slots=True)
class KnownState:
    """The state at a moment, as stored, and how it is known.

    `at` is when it was recorded. Only a state at a time can be inexact: then it is the last known, and an unrecorded
    change came between `at` and `doubt_until`, before or after the requested time.
    """

    moment: moments.Moment
    agent_id: str
    text: str
    at: int | None
    label: str
    expires_at: int | None = None
    doubt_until: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether no unrecorded change can lie between the state and the moment."""
        return self.doubt_until is None


def state_at(agent_id: str, moment: moments.Moment, *, using: str | None = None) -> KnownState:
    """Return the agent's state at a moment. Raises NotFound if the moment is gone or of another agent."""
    using = using or store_alias()
    match moment:
        case moments.Now():
            return _now(agent_id, using)
        case moments.AtSnapshot(snapshot_id):
            return _at_snapshot(agent_id, snapshot_id, using)
        case moments.AtTransition(transition_id, side):
            return _at_transition(agent_id, transition_id, side, using)
        case moments.AtTime(seconds):
            return _at_time(agent_id, seconds, using)


def _now(agent_id: str, using: str) -> KnownState:
    agent = fast_rows.find(models.AgentState, using, agent_id=agent_id)
    if agent is None:
        raise NotFound("This agent was deleted. Its snapshots and transitions remain.")
    return KnownState(moments.Now(), agent_id, agent.state_data, agent.updated_at, "now")


def _at_snapshot(agent_id: str, snapshot_id: RowId, using: str) -> KnownState:
    if isinstance(snapshot_id, HashedId):
        snapshot = models.Snapshot.objects.using(using).of_agent(agent_id).named(snapshot_id)
    else:
        snapshot = fast_rows.find(models.Snapshot, using, id=snapshot_id, agent_id=agent_id)
    if snapshot is None:
        raise NotFound("Snapshot not found for this agent. Choose one on the agent's page.")
    return replace(state_in(snapshot), moment=moments.AtSnapshot(snapshot_id))


def state_in(snapshot: models.Snapshot) -> KnownState:
    """Return the state in a snapshot that was read already."""
    label = f"snapshot “{snapshot.description}”" if snapshot.description else "snapshot"
    moment = moments.AtSnapshot(snapshot.pk)
    return KnownState(moment, snapshot.agent_id, snapshot.state_data, snapshot.created_at, label, snapshot.expires_at)


def _at_transition(agent_id: str, transition_id: RowId, side: moments.Side, using: str) -> KnownState:
    transition = find_transition(transition_id, agent_id=agent_id, side=side, using=using)
    if transition is None:
        raise NotFound("Transition not found for this agent. Choose one on the agent's page.")
    text = transition.state_before if side == "before" else transition.state_after
    what = "captured change" if transition.is_captured else "transition"
    label = f"{side} “{transition.reason}”" if transition.reason else f"{side} the {what}"
    return KnownState(moments.AtTransition(transition_id, side), agent_id, text, transition.timestamp, label)


def find_transition(
    address: RowId, *, agent_id: str | None = None, side: moments.Side | None = None, using: str | None = None
) -> models.Transition | None:
    """Return a transition, or a captured change as one, by its id; None if there is none.

    With a side, the other side's state is not loaded.
    """
    using = using or store_alias()
    defer = [] if side is None else ["state_after" if side == "before" else "state_before"]
    if isinstance(address, str) and address.startswith(models.CapturedChange.PREFIX):
        number = address.removeprefix(models.CapturedChange.PREFIX)
        changes = models.CapturedChange.objects.using(using).filter(state_before__isnull=False)
        changes = changes if agent_id is None else changes.filter(agent_id=agent_id)
        row = changes.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
        return row.as_transition() if row else None
    transitions = models.Transition.objects.using(using)
    transitions = transitions if agent_id is None else transitions.of_agent(agent_id)
    return transitions.defer(*defer).named(address)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was recorded around a time: the last state known then, and the state before the next recorded change."""

    at: int
    text: str
    label: str
    next_at: int | None = None
    next_before: str | None = None


_LABELS: Final = {"transition": "after a transition", "captured": "captured", "snapshot": "from a snapshot"}


def _at_time(agent_id: str, seconds: int, using: str) -> KnownState:
    known = _known_at(agent_id, seconds, using)
    if known is None:
        raise NotFound("Nothing is known of this agent at that time: its first record is later.")
    return known


def _known_at(agent_id: str, seconds: int, using: str) -> KnownState | None:
    """Return the last state recorded at or before a time, the agent's own row included; None without one."""
    last, following = _around(agent_id, seconds, using)
    agent = None if following else models.AgentState.objects.using(using).filter(agent_id=agent_id).first()
    latest = None
    if last is not None:
        text = state_at(agent_id, last.moment, using=using).text
        latest = _Found(int(last.at), text, _LABELS[last.kind])
    if latest is not None and following is not None:
        assert isinstance(following.moment, moments.AtTransition)
        before = state_at(agent_id, moments.AtTransition(following.moment.transition_id, "before"), using=using).text
        latest = replace(latest, next_at=int(following.at), next_before=before)
    return _judged(agent_id, seconds, latest, agent)


def _around(agent_id: str, seconds: int, using: str) -> tuple[Record | None, Record | None]:
    """Return the record whose state holds at a time, and the first change after it.

    If a second has changes, the state at its end is that after the last of them, not of its snapshots.
    """
    changes = Past(agent_id, using=using, kinds=CHANGES)
    change = changes.last(until=seconds)
    row = models.Snapshot.objects.using(using).of_agent(agent_id).until(seconds).newest_first().without_state().first()
    snapshot = None if row is None else Record("snapshot", row)
    is_older = change is None or (snapshot is not None and int(change.at) < int(snapshot.at))
    return (snapshot if is_older else change), changes.first_after(seconds)


def _judged(agent_id: str, seconds: int, latest: _Found | None, agent: models.AgentState | None) -> KnownState | None:
    """Return the state at a time; it is in doubt if the next change did not start from it. None if nothing is known.

    `agent` is the agent's row where no change was recorded after the time: it is a record of its own.
    """
    moment, doubt_until = moments.AtTime(seconds), None
    if agent is not None and (latest is None or not models.same_text(agent.state_data, latest.text)):
        updated_at = int(agent.updated_at)
        if updated_at <= seconds and (latest is None or updated_at >= latest.at):
            return KnownState(moment, agent_id, agent.state_data, updated_at, "as last saved")
        doubt_until = updated_at
    if latest is None:
        return None
    if latest.next_before is not None:
        doubt_until = None if models.same_text(latest.next_before, latest.text) else latest.next_at
    return KnownState(moment, agent_id, latest.text, latest.at, latest.label, doubt_until=doubt_until)


def states_at(agents: Sequence[models.AgentState], seconds: int, *, using: str | None = None) -> dict[str, KnownState]:
    """Return {agent id: state at a time} for the agents whose state is known, in six queries for all of them."""
    using = using or store_alias()
    transitions, snapshots, captured = _pasts(OuterRef("agent_id"), using)
    places: dict[str, tuple[QuerySet[Any], type[Any], str | None]] = {
        "transition": (transitions.until(seconds).newest_first(), models.Transition, "state_before"),
        "snapshot": (snapshots.until(seconds).newest_first(), models.Snapshot, None),
        "captured": (captured.until(seconds).newest_first(), models.CapturedChange, "state_before"),
        "next_transition": (transitions.later_than(seconds).oldest_first(), models.Transition, "state_after"),
        "next_captured": (captured.later_than(seconds).oldest_first(), models.CapturedChange, "state_after"),
    }  # fmt: skip
    firsts = {name: Subquery(rows.values("pk")[:1]) for name, (rows, _, _) in places.items()}
    annotated = models.AgentState.objects.using(using).filter(pk__in=[agent.pk for agent in agents]).annotate(**firsts)
    nearest = {row["agent_id"]: row for row in annotated.values("agent_id", *places)}
    rows = {name: _by_key(table, [row[name] for row in nearest.values()], without, using)
            for name, (_, table, without) in places.items()}  # fmt: skip
    known = {}
    for agent in agents:
        near = {name: rows[name].get(key) for name, key in nearest.get(agent.agent_id, {}).items() if name in rows}
        state = _of_rows(agent, seconds, near, using)
        if state is not None:
            known[agent.agent_id] = state
    return known


def _of_rows(agent: models.AgentState, seconds: int, near: dict[str, Any], using: str) -> KnownState | None:
    """Return the state of first agent from the rows nearest to a time, as `_at_time` does."""
    for first, second in (("transition", "captured"), ("next_transition", "next_captured")):
        if near.get(first) and near.get(second) and int(near[first].timestamp) == int(near[second].at):
            # Their order within the second depends on their texts.
            return _known_at(agent.agent_id, seconds, using)
    lasts = [(_time(near[kind]), rank, kind) for rank, kind in enumerate(_LABELS_BY_RANK) if near.get(kind)]
    nexts = [(_time(row), row) for row in (near.get("next_transition"), near.get("next_captured")) if row]
    latest = None
    if lasts:
        at, _, kind = max(lasts)
        text = near[kind].state_data if kind == "snapshot" else near[kind].state_after
        latest = _Found(at, str(text), _LABELS[kind])
        if nexts:
            next_at, following = min(nexts, key=lambda pair: pair[0])
            latest = replace(latest, next_at=next_at, next_before=following.state_before)
    return _judged(agent.agent_id, seconds, latest, None if nexts else agent)


_LABELS_BY_RANK: Final = ("snapshot", "captured", "transition")


def _time(row: models.CapturedChange | models.Transition | models.Snapshot) -> int:
    if isinstance(row, models.CapturedChange):
        return int(row.at)
    return int(row.timestamp if isinstance(row, models.Transition) else row.created_at)


def _pasts(agent_id: OuterRef, using: str) -> tuple[TransitionQuerySet, SnapshotQuerySet, CapturedChangeQuerySet]:
    """Return the transitions, snapshots and captured changes of an outer query's agent."""
    transitions = models.Transition.objects.using(using).of_agent(agent_id)
    snapshots = models.Snapshot.objects.using(using).of_agent(agent_id)
    return transitions, snapshots, models.CapturedChange.objects.using(using).of_agent(agent_id)


def _by_key(table: type[Any], keys: list[object], without: str | None, using: str) -> dict[object, object]:
    rows = table.objects.using(using).filter(pk__in=[key for key in keys if key is not None])
    return {row.pk: row for row in (rows.defer(without) if without else rows)}


def recorded_state(agent_id: str, state_hash: str, *, using: str | None = None) -> str | None:
    """Return the state that has a hash, searched in the agent's newest transitions; None if none has it."""
    transitions = models.Transition.objects.using(using or store_alias()).of_agent(agent_id).newest_first()
    for transition in transitions[: limits.HASHED_TRANSITIONS] if state_hash else ():
        for text in (transition.state_after, transition.state_before):
            if models.sha256(text) == state_hash:
                return str(text)
    return None
