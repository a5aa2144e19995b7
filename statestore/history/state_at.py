"""The state of an agent at a moment, and how it is known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from django.db import connections
from django.db.models import Model, OuterRef, QuerySet, Subquery

from statestore import models
from statestore.db import archive, fast_rows
from statestore.db.ids import HashedId, RowId
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import limits, moments
from statestore.history.past import CHANGES, Kind, Past, Record, Records
from statestore.models.rows import LAST_SECOND
from statestore.models.snapshots import SnapshotQuerySet

Row: TypeAlias = models.CapturedChange | models.Transition | models.Snapshot
Key: TypeAlias = str | int | None


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
        raise not_there(agent_id, using=using)
    return KnownState(moments.Now(), agent_id, agent.state_data, agent.updated_at, "now")


def not_there(agent_id: str, *, using: str | None = None) -> NotFound:
    """Return the error for the present state of an agent without a row; it says what remains of its past."""
    past = Past(agent_id, using=using)
    counts = {kind: rows.count() for kind, rows in past.sources.items()}
    names: dict[Kind, str] = {"transition": "transition", "captured": "captured change", "snapshot": "snapshot"}
    parts = [f"{counts[kind]} {name}{'' if counts[kind] == 1 else 's'}"
             for kind, name in names.items() if counts.get(kind)]  # fmt: skip
    if not parts:
        return NotFound("This agent does not exist, and nothing remains of its past.")
    last = past.last()
    at = int(last.at) if last is not None else 0
    when = f", the last of {datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}" if 0 <= at <= LAST_SECOND else ""
    return NotFound(
        f"The orchestrator deleted this agent, so it has no present state. What remains: {' and '.join(parts)}{when}."
        " Choose one of these, or a time."
    )


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
    if (number := models.CapturedChange.number_in(address)) is not None:
        changes = models.CapturedChange.objects.using(using).filter(state_before__isnull=False)
        changes = changes if agent_id is None else changes.filter(agent_id=agent_id)
        row = changes.filter(pk=number).first()
        return row.as_transition() if row else None
    transitions = models.Transition.objects.using(using)
    transitions = transitions if agent_id is None else transitions.of_agent(agent_id)
    return transitions.defer(*defer).named(address)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A state that a record shows, and when."""

    at: int
    text: str
    label: str = ""


_LABELS: Final = {"snapshot": "from a snapshot", "captured": "captured", "transition": "after a transition"}


def _at_time(agent_id: str, seconds: int, using: str) -> KnownState:
    known = _known_at(agent_id, seconds, using)
    if known is None:
        raise NotFound("Nothing is known of this agent at that time: its first record is later.")
    return known


def _known_at(agent_id: str, seconds: int, using: str) -> KnownState | None:
    """Return the last state recorded at or before a time, the agent's own row included; None without one."""
    changes = Past(agent_id, using=using, kinds=CHANGES)
    last, later = _last_record(changes, seconds), _next_rows(changes, seconds)
    is_last = not any(kind in CHANGES for kind in later)
    agent = fast_rows.find(models.AgentState, using, agent_id=agent_id) if is_last else None
    latest = None
    if last is not None:
        text = state_at(agent_id, last.moment, using=using).text
        latest = _Shown(int(last.at), text, _LABELS[last.kind])
    return _judged(agent_id, seconds, latest, [_before(row) for row in later.values()], agent)


def _last_record(changes: Past, seconds: int) -> Record | None:
    """Return the record whose state holds at a time.

    If a second has changes, the state at its end is that after the last of them, not of its snapshots.
    """
    change = changes.last(until=seconds)
    snapshots = models.Snapshot.objects.using(changes.using).of_agent(changes.agent_id)
    row = snapshots.until(seconds).newest_first().without_state().first()
    snapshot = None if row is None else Record("snapshot", row)
    is_older = change is None or (snapshot is not None and int(change.at) < int(snapshot.at))
    return snapshot if is_older else change


def _next_rows(changes: Past, seconds: int) -> dict[Kind, Row]:
    """Return the first record of each kind after a time."""
    pasts = _pasts(changes.agent_id, changes.using, has_captured="captured" in changes.sources)
    rows: dict[Kind, Row | None] = {}
    for kind, past in pasts.items():
        later = past.later_than(seconds).oldest_first()
        rows[kind] = (later if isinstance(later, SnapshotQuerySet) else later.defer("state_after")).first()
    return {kind: row for kind, row in rows.items() if row is not None}


def _before(row: Row) -> _Shown:
    """Return the state that a record shows to have been there before it."""
    return _Shown(_time(row), str(row.state_data if isinstance(row, models.Snapshot) else row.state_before))


def _judged(
    agent_id: str, seconds: int, latest: _Shown | None, later: list[_Shown], agent: models.AgentState | None
) -> KnownState | None:
    """Return the state at a time; None if nothing is known.

    `latest` is what the last record shows, `later` what the next ones do. `agent` is the agent's row if no change was
    recorded after the time: it is a record of its own, and holds from the time of its last save.
    """
    if agent is not None:
        own = _Shown(int(agent.updated_at), agent.state_data, "as last saved")
        if own.at > seconds:
            later = [*later, own]
        elif latest is None or not models.same_text(own.text, latest.text):
            latest = own
    if latest is None:
        return None
    doubt_until = _doubt(latest.text, later)
    return KnownState(moments.AtTime(seconds), agent_id, latest.text, latest.at, latest.label, doubt_until=doubt_until)


def _doubt(text: str, later: list[_Shown]) -> int | None:
    """Return when the next record proves an unrecorded change of a state, by showing another one; None if it does not.

    Of several records in that second one that shows the state is enough: it may be the first of them.
    """
    next_at = min((shown.at for shown in later), default=None)
    following = [shown for shown in later if shown.at == next_at]
    return None if any(models.same_text(shown.text, text) for shown in following) else next_at


def states_at(agents: Sequence[models.AgentState], seconds: int, *, using: str | None = None) -> dict[str, KnownState]:
    """Return {agent id: state at a time} for the agents whose state is known, in seven queries at most."""
    using = using or store_alias()
    ids = [agent.agent_id for agent in agents]
    has_captured = models.CapturedChange.objects.using(using).filter(agent_id__in=ids).exists()
    places = _places(OuterRef("agent_id"), seconds, using, has_captured=has_captured)
    firsts = {name: Subquery(rows.values("pk")[:1]) for name, rows in places.items()}
    annotated = models.AgentState.objects.using(using).filter(agent_id__in=ids).annotate(**firsts)
    nearest = {row["agent_id"]: row for row in annotated.values("agent_id", *places)}
    rows = _rows_of(nearest.values(), using)
    known = {}
    for agent in agents:
        keys = nearest.get(agent.agent_id, {})
        near = {name: _nearest(name, keys, rows[name]) for name in rows}
        state = _of_rows(agent, seconds, {name: row for name, row in near.items() if row is not None}, using)
        if state is not None:
            known[agent.agent_id] = state
    return known


def _places(agent_id: OuterRef, seconds: int, using: str, *, has_captured: bool) -> dict[str, QuerySet[Model]]:
    """Return the rows before and after a time, nearest first, of each kind of an outer query's agent.

    Archived ones are asked for by themselves: SQLite would read both tables anew for each agent.
    """
    places: dict[str, QuerySet[Model]] = {}
    kinds: dict[str, Records] = {
        "transition": models.Transition.objects.using(using).live().of_agent(agent_id),
        "snapshot": models.Snapshot.objects.using(using).live().of_agent(agent_id),
    }
    if has_captured:
        kinds["captured"] = models.CapturedChange.objects.using(using).of_agent(agent_id)
    for kind, past in kinds.items():
        places[kind] = past.until(seconds).newest_first()
        places[f"next_{kind}"] = past.later_than(seconds).oldest_first()
    if archive.token_of(connections[using]) is None:
        return places
    for kind, table, time in _ARCHIVED_KINDS:
        archived = table.objects.using(using).filter(agent_id=agent_id)
        places[f"{kind}{_ARCHIVED}"] = archived.filter(**{f"{time}__lte": seconds}).order_by(f"-{time}", "-place")
        places[f"next_{kind}{_ARCHIVED}"] = archived.filter(**{f"{time}__gt": seconds}).order_by(time, "place")
    return places


_ARCHIVED: Final = "_archived"
_ARCHIVED_KINDS: Final[
    tuple[tuple[Kind, type[models.ArchivedTransition] | type[models.ArchivedSnapshot], str], ...]
] = (
    ("transition", models.ArchivedTransition, "timestamp"),
    ("snapshot", models.ArchivedSnapshot, "created_at"),
)


def _nearest(name: str, keys: Mapping[str, Key], rows: Mapping[Key, Row]) -> Row | None:
    """Return the row of a place: of a live and an archived one, the one nearer to the time; None without one."""
    found = [rows[key] for key in (keys.get(name), keys.get(f"{name}{_ARCHIVED}")) if key in rows]
    if len(found) < 2:
        return found[0] if found else None
    order = sorted(found, key=lambda row: (_time(row), getattr(row, "rowid", 0)))
    return order[0] if name.startswith("next_") else order[-1]


def _rows_of(nearest: Iterable[Mapping[str, Key]], using: str) -> dict[str, Mapping[Key, Row]]:
    """Return {place: {key: row}}; of changes only the state that is asked for is read."""
    keys: dict[str, set[Key]] = defaultdict(set)
    for places in nearest:
        for name, key in places.items():
            keys[name.removesuffix(_ARCHIVED)].add(key)
    snapshots = _by_key(models.Snapshot, keys["snapshot"] | keys["next_snapshot"], None, using)
    return {
        "transition": _by_key(models.Transition, keys["transition"], "state_before", using),
        "snapshot": snapshots,
        "captured": _by_key(models.CapturedChange, keys["captured"], "state_before", using),
        "next_transition": _by_key(models.Transition, keys["next_transition"], "state_after", using),
        "next_snapshot": snapshots,
        "next_captured": _by_key(models.CapturedChange, keys["next_captured"], "state_after", using),
    }


def _of_rows(agent: models.AgentState, seconds: int, near: Mapping[str, Row], using: str) -> KnownState | None:
    """Return the state of an agent from the rows nearest to a time, as `_at_time` does."""
    if {"transition", "captured"} <= near.keys() and _time(near["transition"]) == _time(near["captured"]):
        # Their order within the second depends on their texts.
        return _known_at(agent.agent_id, seconds, using)
    lasts = [(_time(near[kind]), rank, kind) for rank, kind in enumerate(_LABELS) if kind in near]
    latest = None
    if lasts:
        at, _, kind = max(lasts)
        row = near[kind]
        text = row.state_data if isinstance(row, models.Snapshot) else row.state_after
        latest = _Shown(at, str(text), _LABELS[kind])
    later = [_before(row) for name, row in near.items() if name.startswith("next_")]
    is_last = not {"next_transition", "next_captured"} & near.keys()
    return _judged(agent.agent_id, seconds, latest, later, agent if is_last else None)


def _time(row: Row) -> int:
    if isinstance(row, models.CapturedChange):
        return int(row.at)
    return int(row.timestamp if isinstance(row, models.Transition) else row.created_at)


def _pasts(agent_id: str, using: str, *, has_captured: bool) -> dict[Kind, Records]:
    """Return the rows of each kind of an agent.

    As in `Past`: without captures, those would be the most expensive part.
    """
    pasts: dict[Kind, Records] = {
        "transition": models.Transition.objects.using(using).of_agent(agent_id),
        "snapshot": models.Snapshot.objects.using(using).of_agent(agent_id),
    }
    if has_captured:
        pasts["captured"] = models.CapturedChange.objects.using(using).of_agent(agent_id)
    return pasts


def _by_key(table: type[Row], keys: set[Key], without: str | None, using: str) -> Mapping[Key, Row]:
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
