"""An agent's past: the state at a moment, and the timeline of what happened to it."""

from dataclasses import dataclass
from typing import Any

from statestore import models, moments, paging
from statestore.addresses import AnyId
from statestore.errors import NotFound
from statestore.querysets import BY_CREATION, BY_TIME
from statestore.routers import store_alias

# So many of the newest transitions are searched for a state that somebody saw before the agent moved.
RECENT_TRANSITIONS = 20


@dataclass(frozen=True, slots=True)
class KnownState:
    """The state at a moment, as stored, and how it is known."""

    moment: moments.Moment
    agent_id: str
    text: str
    at: int | None
    label: str
    expires_at: int | None = None


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
    found = models.Transition.objects.using(using).of_agent(agent_id)
    transition = found.defer("state_after" if side == "before" else "state_before").named(transition_id)
    if transition is None:
        raise NotFound("This transition is gone, or it is another agent's. Choose one from the agent's page.")
    text = transition.state_before if side == "before" else transition.state_after
    label = f"{side} “{transition.reason}”" if transition.reason else f"{side} the transition"
    return KnownState(moments.AtTransition(transition_id, side), agent_id, text, transition.timestamp, label)


def _at_time(agent_id: str, seconds: int, using: str) -> KnownState:
    """Return the newest state recorded at or before the time, from transitions and snapshots."""
    transition = (
        models.Transition.objects.using(using)
        .of_agent(agent_id)
        .filter(timestamp__lte=seconds)
        .newest_first()
        .defer("state_before")
        .first()
    )
    snapshot = (
        models.Snapshot.objects.using(using).of_agent(agent_id).filter(created_at__lte=seconds).newest_first().first()
    )
    if transition is not None and (snapshot is None or transition.timestamp >= snapshot.created_at):
        return KnownState(
            moments.AtTime(seconds), agent_id, transition.state_after, transition.timestamp, "after a transition"
        )
    if snapshot is not None:
        return KnownState(
            moments.AtTime(seconds), agent_id, snapshot.state_data, snapshot.created_at, "from a snapshot"
        )
    raise NotFound("Nothing is known of this agent at that time: its first record is later.")


def recorded_state(agent_id: str, state_hash: str, *, using: str | None = None) -> str | None:
    """Return the state with a hash from either side of the agent's newest transitions, or None where it is in none."""
    transitions = models.Transition.objects.using(using or store_alias()).of_agent(agent_id).newest_first()
    for transition in transitions[:RECENT_TRANSITIONS] if state_hash else ():
        for text in (transition.state_after, transition.state_before):
            if models.sha256(text) == state_hash:
                return str(text)
    return None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One point of an agent's timeline: a transition or a snapshot, without its states."""

    at: int
    kind: str
    row: Any


def timeline(
    agent_id: str, *, cursor: str = "", limit: int, using: str | None = None
) -> tuple[list[TimelineEntry], str | None]:
    """Return some transitions and snapshots of an agent in one list, newest first, and the cursor of what is older."""
    using = using or store_alias()
    transition_cursor, _, snapshot_cursor = cursor.partition(".")
    sources: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (models.Transition.objects.using(using).of_agent(agent_id).without_states().with_sizes(), BY_TIME),
        (models.Snapshot.objects.using(using).of_agent(agent_id).without_state().with_size(), BY_CREATION),
    )
    pages: list[paging.Page[Any]] = [
        paging.page(rows, order, cursor=position, size=limit) if position != "-" else paging.Page([], None, None)
        for (rows, order), position in zip(sources, (transition_cursor, snapshot_cursor), strict=True)
    ]
    entries = [TimelineEntry(row.timestamp, "transition", row) for row in pages[0]]
    entries += [TimelineEntry(row.created_at, "snapshot", row) for row in pages[1]]
    entries.sort(key=lambda entry: -int(entry.at))
    shown = entries[:limit]
    if len(entries) == len(shown) and not any(page.older for page in pages):
        return shown, None
    rest = [_rest(page, shown, kind, order, before) for page, kind, order, before in zip(
        pages, ("transition", "snapshot"), (BY_TIME, BY_CREATION), (transition_cursor, snapshot_cursor), strict=True
    )]  # fmt: skip
    return shown, ".".join(rest)


def _rest(page: Any, shown: list[TimelineEntry], kind: str, order: tuple[str, ...], before: str) -> str:
    """Return the cursor of one source after what was shown of it; "-" where it is exhausted."""
    used = [entry.row for entry in shown if entry.kind == kind]
    if len(used) == len(page) and page.older is None:
        return "-"
    return paging.cursor_after(used[-1], order) if used else before


def latest_events(agent_id: str, limit: int, *, using: str | None = None) -> list[models.Event]:
    """Return the events of an actor that were inserted last, newest first.

    No index has (actor, time), so an actor's 100,000 events would be sorted for ten; insertion order needs no sort.
    """
    events = models.Event.objects.using(using or store_alias()).by_actor(agent_id).last_inserted()
    return sorted(events[: limit * 2], key=lambda event: (-int(event.timestamp), -int(event.rowid)))[:limit]
