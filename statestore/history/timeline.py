"""What happened to an agent: in one list, in lanes over time, and from one stop to the next."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from statestore import models
from statestore.db import pagination
from statestore.db.counts import bounded_counts
from statestore.db.ids import AnyId
from statestore.db.routers import store_alias
from statestore.history import moments
from statestore.models.querysets import BY_CREATION, BY_TIME, first_values
from statestore.models.rows import LAST_SECOND

LANE_COLUMNS: Final = 160
# A column is full at so many rows; more are not counted.
LANE_MOST: Final = 25
# No index has (actor, time): of an agent's events only those inserted last are looked at.
LANE_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One point of an agent's timeline: a transition, a captured change or a snapshot, without its states."""

    at: int
    kind: str
    row: Any


class _Source(NamedTuple):
    """Where entries of one kind come from, and by which columns they are ordered."""

    kind: str
    rows: Any
    order: tuple[str, ...]


def _sources(agent_id: str, using: str) -> list[_Source]:
    transitions = models.Transition.objects.using(using).of_agent(agent_id)
    snapshots = models.Snapshot.objects.using(using).of_agent(agent_id)
    captured = _captured_of(agent_id, using)
    sources = [
        _Source("transition", transitions.without_states().with_sizes(), BY_TIME),
        _Source("snapshot", snapshots.without_state().with_size(), BY_CREATION),
        _Source("captured", captured.without_states().with_sizes(), ("-at", "-id")),
    ]
    return [source for source in sources if not source.rows.query.is_empty()]


def _captured_of(agent_id: str, using: str) -> Any:
    """Return the captured changes of an agent; where there are none, rows that need no query to be known as none.

    To see that no transition tells the same change costs a page more than all that is found for most agents: nothing.
    """
    captured = models.Captured.objects.using(using)
    return captured.of_agent(agent_id) if captured.filter(agent_id=agent_id).exists() else captured.none()


def timeline(
    agent_id: str, *, cursor: str = "", limit: int, using: str | None = None
) -> tuple[list[TimelineEntry], str | None]:
    """Return some entries of an agent's timeline, newest first, and the cursor of what is older."""
    sources = _sources(agent_id, using or store_alias())
    positions = [*cursor.split("."), "", "", ""][: len(sources)]
    pages: list[pagination.Page[Any]] = [
        pagination.page(source.rows, source.order, cursor=position, size=limit)
        if position != "-"
        else pagination.Page([], None, None)
        for source, position in zip(sources, positions, strict=True)
    ]
    entries = [
        TimelineEntry(getattr(row, source.order[0].lstrip("-")), source.kind, row)
        for source, page in zip(sources, pages, strict=True)
        for row in page
    ]
    entries.sort(key=lambda entry: -int(entry.at))
    shown = entries[:limit]
    if len(entries) == len(shown) and not any(page.older for page in pages):
        return shown, None
    rest = [_rest(page, shown, source, position) for page, source, position in zip(
        pages, sources, positions, strict=True
    )]  # fmt: skip
    return shown, ".".join(rest)


def _rest(page: Any, shown: list[TimelineEntry], source: _Source, before: str) -> str:
    """Return the cursor of one source after what was shown of it; "-" where it is exhausted."""
    used = [entry.row for entry in shown if entry.kind == source.kind]
    if len(used) == len(page) and page.older is None:
        return "-"
    return pagination.cursor_after(used[-1], source.order) if used else before


def latest_events(agent_id: str, limit: int, *, using: str | None = None) -> list[models.Event]:
    """Return the events of an actor that were inserted last, newest first.

    No index has (actor, time), so an actor's 100,000 events would be sorted for ten; insertion order needs no sort.
    """
    events = models.Event.objects.using(using or store_alias()).by_actor(agent_id).last_inserted()
    return sorted(events[: limit * 2], key=lambda event: (-int(event.timestamp), -int(event.rowid)))[:limit]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in columns of equal width."""

    start: int
    width_seconds: int

    @property
    def end(self) -> int:
        """The last second of the last column."""
        return min(self.start + self.width_seconds * LANE_COLUMNS - 1, LAST_SECOND)

    def column(self, at: int) -> int | None:
        """Return the column that a time is in, or None where it is outside."""
        column = (at - self.start) // self.width_seconds
        return column if 0 <= column < LANE_COLUMNS else None

    def moved(self, seconds: int) -> tuple[int, int]:
        """Return the first and last second of a stretch as long as this one, earlier or later by some seconds."""
        return max(self.start + seconds, 0), min(max(self.end + seconds, 1), LAST_SECOND)

    def ends_at(self, column: int) -> int:
        """Return the last second of a column."""
        return min(self.start + (column + 1) * self.width_seconds - 1, LAST_SECOND)


def span_of(agent: models.AgentState, start: int | None, end: int | None, *, using: str | None = None) -> Span:
    """Return the span from `start` to `end`; where one is None, the agent's first or last record bounds it."""
    using = using or store_alias()
    transitions = models.Transition.objects.using(using).of_agent(agent.agent_id)
    snapshots = models.Snapshot.objects.using(using).of_agent(agent.agent_id)
    if start is None or end is None:
        bounds = first_values(
            (transitions.oldest_first(), "timestamp"), (snapshots.oldest_first(), "created_at"),
            (transitions.newest_first(), "timestamp"), (snapshots.newest_first(), "created_at"),
        )  # fmt: skip
        firsts, lasts = ([int(at) for at in side if at is not None] for side in (bounds[:2], bounds[2:]))
        start = min(firsts, default=int(agent.updated_at)) if start is None else start
        end = max([*lasts, int(agent.updated_at)]) if end is None else end
    # A program may have written any number as a time.
    start, end = (min(max(bound, 0), LAST_SECOND) for bound in (start, max(end, start)))
    return Span(start, max(1, -(-(end + 1 - start) // LANE_COLUMNS)))


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of thing over a span: {column: how many, up to LANE_MOST}. `note` says what is not in it."""

    name: str
    counts: dict[int, int]
    note: str = ""


def lanes(agent_id: str, span: Span, *, using: str | None = None) -> list[Lane]:
    """Return what happened to an agent over a span, a lane for each kind; the cost does not grow with the past."""
    using = using or store_alias()
    spoken = models.Event.objects.using(using).by_actor(agent_id).last_inserted()
    events = list(spoken.values_list("timestamp", "git_commit")[:LANE_EVENTS])
    cut = f"only the last {LANE_EVENTS:,} that were inserted" if len(events) == LANE_EVENTS else ""
    statuses = models.AuditEntry.objects.using(using).about(agent_id).with_verb("status")
    return [
        Lane("transitions", _counted(models.Transition.objects.using(using).of_agent(agent_id), "timestamp", span)),
        *_captured_lane(agent_id, span, using),
        Lane("snapshots", _counted(models.Snapshot.objects.using(using).of_agent(agent_id), "created_at", span)),
        Lane("restores", _counted(models.Restore.objects.using(using).of_agent(agent_id), "at", span)),
        Lane("status", _gathered(statuses.newest_first().values_list("at", flat=True)[:LANE_EVENTS], span)),
        Lane("events", _gathered((at for at, _ in events), span), cut),
        Lane("commits", _gathered((at for at, commit in events if commit), span), cut),
    ]


def _captured_lane(agent_id: str, span: Span, using: str) -> list[Lane]:
    """Return the lane of captured changes, none where nothing was captured."""
    counts = _counted(_captured_of(agent_id, using), "at", span)
    return [Lane("captured", counts)] if counts else []


def _counted(rows: Any, column: str, span: Span) -> dict[int, int]:
    return bounded_counts(
        rows, column, start=span.start, width_seconds=span.width_seconds, columns=LANE_COLUMNS, most=LANE_MOST
    )


def _gathered(times: Iterable[Any], span: Span) -> dict[int, int]:
    counts = Counter(span.column(int(at)) for at in times)
    return {column: min(count, LANE_MOST) for column, count in counts.items() if column is not None}


_KINDS: Final = ("captured", "transition", "snapshot")


@dataclass(frozen=True, slots=True)
class Stop:
    """A recorded point of an agent's past: the moment after a transition or a captured change, or of a snapshot."""

    moment: moments.Moment
    at: int
    kind: str
    row: Any

    @property
    def key(self) -> tuple[int, int, int]:
        """Its place among all stops; of one second captured changes come first, then transitions, then snapshots."""
        number = self.row.pk if self.kind == "captured" else self.row.rowid
        return int(self.at), _KINDS.index(self.kind), int(number)


def stop_at(agent_id: str, moment: moments.Moment, *, using: str | None = None) -> Stop | None:
    """Return the stop that a moment is, or the last one before it; None where nothing was recorded before."""
    using = using or store_alias()
    stops = _stops_of(agent_id, using)
    match moment:
        case moments.AtSnapshot(snapshot_id):
            return _stop(stops["snapshot"].named(snapshot_id))
        case moments.AtTransition(transition_id, side):
            found = _stop(_named(stops, transition_id))
            return found if side == "after" or found is None else _before(found, stops)
        case moments.AtTime(seconds):
            stops = {kind: rows.until(seconds) for kind, rows in stops.items()}
    lasts = [_stop(rows.newest_first().first()) for rows in stops.values()]
    return max((stop for stop in lasts if stop), key=lambda stop: stop.key, default=None)


def _stops_of(agent_id: str, using: str) -> dict[str, Any]:
    """Return what an agent can stop at by its kind, without states; kinds of which it has none may be left out."""
    captured = _captured_of(agent_id, using)
    kept = {} if captured.query.is_empty() else {"captured": captured.without_states()}
    return kept | {
        "transition": models.Transition.objects.using(using).of_agent(agent_id).without_states(),
        "snapshot": models.Snapshot.objects.using(using).of_agent(agent_id).without_state(),
    }


def _named(stops: dict[str, Any], transition_id: AnyId) -> Any:
    """Return the transition of an id, or the captured change that poses as one."""
    if isinstance(transition_id, str) and transition_id.startswith(models.Captured.PREFIX):
        number = transition_id.removeprefix(models.Captured.PREFIX)
        is_number = number.isdecimal() and len(number) < 19
        return stops["captured"].filter(pk=int(number)).first() if is_number and "captured" in stops else None
    return stops["transition"].named(transition_id)


def neighbours(agent_id: str, stop: Stop, *, using: str | None = None) -> tuple[Stop | None, Stop | None]:
    """Return the stops before and after another one, None where there is none."""
    stops = _stops_of(agent_id, using or store_alias())
    return _before(stop, stops), _after(stop, stops)


def _before(stop: Stop, stops: dict[str, Any]) -> Stop | None:
    at, bounds = stop.key[0], _bounds(stop)
    found = [_stop(rows.older_than(at, bounds[kind]).newest_first().first()) for kind, rows in stops.items()]
    return max((one for one in found if one), key=lambda one: one.key, default=None)


def _after(stop: Stop, stops: dict[str, Any]) -> Stop | None:
    at, bounds = stop.key[0], _bounds(stop)
    found = [_stop(rows.newer_than(at, bounds[kind]).oldest_first().first()) for kind, rows in stops.items()]
    return min((one for one in found if one), key=lambda one: one.key, default=None)


def _bounds(stop: Stop) -> dict[str, int]:
    """Return where in the stop's second each kind divides: all of another kind are on one side, by their rank."""
    _, rank, number = stop.key
    return {
        kind: number if other == rank else (2**62 if other < rank else -(2**62)) for other, kind in enumerate(_KINDS)
    }


def _stop(row: Any) -> Stop | None:
    if isinstance(row, models.Transition):
        return Stop(moments.AtTransition(row.pk, "after"), row.timestamp, "transition", row)
    if isinstance(row, models.Captured):
        return Stop(moments.AtTransition(f"{row.PREFIX}{row.pk}", "after"), row.at, "captured", row)
    if isinstance(row, models.Snapshot):
        return Stop(moments.AtSnapshot(row.pk), row.created_at, "snapshot", row)
    return None
