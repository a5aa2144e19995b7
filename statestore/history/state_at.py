"""The state of an agent at a moment, and how it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db.models import OuterRef, Subquery

from statestore import models
from statestore.db.ids import AnyId
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import moments

# So many of the newest transitions are searched for a state that somebody saw before the agent moved.
RECENT_TRANSITIONS = 20


@dataclass(frozen=True, slots=True)
class KnownState:
    """The state at a moment, as stored, and how it is known.

    `at` is when it was recorded. Only a state at a time can be inexact: then it is the last one known, and a change
    that nobody recorded came between `at` and `doubt_until`, before or after the time that was asked about.
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
        """Whether the agent surely had this state at the moment."""
        return self.doubt_until is None


def state_at(agent_id: str, moment: moments.Moment, *, using: str | None = None) -> KnownState:
    """Return the agent's state at a moment. Raises NotFound where the moment is gone or belongs to another agent."""
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
    agent = models.AgentState.objects.using(using).filter(agent_id=agent_id).first()
    if agent is None:
        raise NotFound("This agent is gone. Its snapshots and transitions remain.")
    return KnownState(moments.Now(), agent_id, agent.state_data, agent.updated_at, "now")


def _at_snapshot(agent_id: str, snapshot_id: AnyId, using: str) -> KnownState:
    snapshot = models.Snapshot.objects.using(using).of_agent(agent_id).named(snapshot_id)
    if snapshot is None:
        raise NotFound("This snapshot is gone, or it is another agent's. Choose one from the agent's page.")
    label = f"snapshot “{snapshot.description}”" if snapshot.description else "snapshot"
    return KnownState(
        moments.AtSnapshot(snapshot_id), agent_id, snapshot.state_data, snapshot.created_at, label, snapshot.expires_at
    )


def _at_transition(agent_id: str, transition_id: AnyId, side: moments.Side, using: str) -> KnownState:
    transition = find_transition(transition_id, agent_id=agent_id, side=side, using=using)
    if transition is None:
        raise NotFound("This transition is gone, or it is another agent's. Choose one from the agent's page.")
    text = transition.state_before if side == "before" else transition.state_after
    what = "captured change" if transition.is_captured else "transition"
    label = f"{side} “{transition.reason}”" if transition.reason else f"{side} the {what}"
    return KnownState(moments.AtTransition(transition_id, side), agent_id, text, transition.timestamp, label)


def find_transition(
    address: AnyId, *, agent_id: str | None = None, side: moments.Side | None = None, using: str | None = None
) -> models.Transition | None:
    """Return a transition, or the captured change that poses as one, by its id; None where there is none.

    With a side, the other side's state is not loaded.
    """
    using = using or store_alias()
    defer = [] if side is None else ["state_after" if side == "before" else "state_before"]
    if isinstance(address, str) and address.startswith(models.Captured.PREFIX):
        number = address.removeprefix(models.Captured.PREFIX)
        changes = models.Captured.objects.using(using).filter(state_before__isnull=False)
        changes = changes if agent_id is None else changes.filter(agent_id=agent_id)
        found = changes.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
        return found.as_transition() if found else None
    transitions = models.Transition.objects.using(using)
    transitions = transitions if agent_id is None else transitions.of_agent(agent_id)
    return transitions.defer(*defer).named(address)


# A state that may be the one at a time: when it was recorded, its rank within that second, the text, how it is known.
_Candidate: TypeAlias = tuple[int, int, str, str]
# What came next: when, and the state before it.
_Following: TypeAlias = tuple[int, str]


def _at_time(agent_id: str, seconds: int, using: str) -> KnownState:
    """Return the newest state recorded at or before the time, from transitions, snapshots and captured changes."""
    transitions, snapshots, captured = _pasts(agent_id, using)
    candidates = [_candidate(row) for row in (
        transitions.until(seconds).newest_first().defer("state_before").first(),
        snapshots.until(seconds).newest_first().first(),
        captured.until(seconds).newest_first().defer("state_before").first(),
    ) if row]  # fmt: skip
    if not candidates:
        raise NotFound("Nothing is known of this agent at that time: its first record is later.")
    following = [_following(row) for row in (
        transitions.later_than(seconds).oldest_first().defer("state_after").first(),
        captured.later_than(seconds).oldest_first().defer("state_after").first(),
    ) if row]  # fmt: skip
    agent = None if following else models.AgentState.objects.using(using).filter(agent_id=agent_id).first()
    return _judged(agent_id, seconds, candidates, following, agent)


def _pasts(agent_id: Any, using: str) -> tuple[Any, Any, Any]:
    """Return an agent's transitions, snapshots and captured changes."""
    tables: tuple[Any, ...] = (models.Transition, models.Snapshot, models.Captured)
    transitions, snapshots, captured = (table.objects.using(using).of_agent(agent_id) for table in tables)
    return transitions, snapshots, captured


def _candidate(row: Any) -> _Candidate:
    # Of one second the transition comes last, then the captured change: the snapshot may be of before either.
    if isinstance(row, models.Transition):
        return int(row.timestamp), 2, row.state_after, "after a transition"
    if isinstance(row, models.Captured):
        return int(row.at), 1, str(row.state_after), "captured"
    return int(row.created_at), 0, row.state_data, "from a snapshot"


def _following(row: Any) -> _Following:
    return int(row.at if isinstance(row, models.Captured) else row.timestamp), row.state_before


def _judged(
    agent_id: str, seconds: int, candidates: list[_Candidate], following: list[_Following],
    agent: models.AgentState | None,
) -> KnownState:  # fmt: skip
    """Return the last of some candidates, in doubt where what came next, or the agent now, does not confirm it."""
    at, _, text, label = max(candidates, key=lambda candidate: candidate[:2])
    doubt_until = None
    if following:
        next_at, before = min(following, key=lambda entry: entry[0])
        doubt_until = None if models.same_text(before, text) else next_at
    elif agent is not None and not models.same_text(agent.state_data, text):
        doubt_until = int(agent.updated_at)
    return KnownState(moments.AtTime(seconds), agent_id, text, at, label, doubt_until=doubt_until)


def states_at(agents: Sequence[models.AgentState], seconds: int, *, using: str | None = None) -> dict[str, KnownState]:
    """Return {agent id: state at a time} for those agents of which one is known, in six questions for them all."""
    using = using or store_alias()
    transitions, snapshots, captured = _pasts(OuterRef("agent_id"), using)
    places = {
        "transition": (transitions.until(seconds).newest_first(), models.Transition, "state_before"),
        "snapshot": (snapshots.until(seconds).newest_first(), models.Snapshot, None),
        "captured": (captured.until(seconds).newest_first(), models.Captured, "state_before"),
        "next_transition": (transitions.later_than(seconds).oldest_first(), models.Transition, "state_after"),
        "next_captured": (captured.later_than(seconds).oldest_first(), models.Captured, "state_after"),
    }  # fmt: skip
    firsts = {name: Subquery(rows.values("pk")[:1]) for name, (rows, _, _) in places.items()}
    asked = models.AgentState.objects.using(using).filter(pk__in=[agent.pk for agent in agents]).annotate(**firsts)
    found = {row["agent_id"]: row for row in asked.values("agent_id", *places)}
    rows = {name: _by_key(table, [row[name] for row in found.values()], without, using)
            for name, (_, table, without) in places.items()}  # fmt: skip
    known = {}
    for agent in agents:
        near = {name: rows[name].get(key) for name, key in found.get(agent.agent_id, {}).items() if name in rows}
        candidates = [_candidate(near[name]) for name in ("transition", "snapshot", "captured") if near.get(name)]
        following = [_following(near[name]) for name in ("next_transition", "next_captured") if near.get(name)]
        if candidates:
            known[agent.agent_id] = _judged(agent.agent_id, seconds, candidates, following, agent)
    return known


def _by_key(table: type[Any], keys: list[Any], without: str | None, using: str) -> dict[Any, Any]:
    rows = table.objects.using(using).filter(pk__in=[key for key in keys if key is not None])
    return {row.pk: row for row in (rows.defer(without) if without else rows)}


def recorded_state(agent_id: str, state_hash: str, *, using: str | None = None) -> str | None:
    """Return the state with a hash from either side of the agent's newest transitions, or None where it is in none."""
    transitions = models.Transition.objects.using(using or store_alias()).of_agent(agent_id).newest_first()
    for transition in transitions[:RECENT_TRANSITIONS] if state_hash else ():
        for text in (transition.state_after, transition.state_before):
            if models.sha256(text) == state_hash:
                return str(text)
    return None
