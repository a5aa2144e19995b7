"""What happened to an agent: in one list, in lanes over time, and from one stop to the next."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.db.models import Model, QuerySet

from statestore import models
from statestore.conversations import alike
from statestore.db.counts import bounded_counts
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.history import limits, moments
from statestore.history.past import CHANGES, Past, Position, Record
from statestore.history.state_at import state_at
from statestore.models.audit import Action
from statestore.models.querysets import first_values
from statestore.models.rows import LAST_SECOND


def timeline(
    agent_id: str, *, cursor: str = "", limit: int, using: str | None = None, past: Past | None = None
) -> tuple[list[Record], str | None]:
    """Return some records of an agent's past, newest first, and the cursor of what is older.

    A `past` that was read from already need not read again.
    """
    records = (past or Past(agent_id, using=using)).page(limit + 1, Position.parse(cursor))
    shown = records[:limit]
    return shown, str(shown[-1].position) if len(records) > limit else None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a timeline: one record, or transitions in a row whose reasons differ in their numbers alone.

    `reason` is that of all of them, their numbers as ranges; `records` are newest first.
    """

    records: tuple[Record, ...]
    reason: str = ""

    @property
    def newest(self) -> Record:
        return self.records[0]

    @property
    def oldest(self) -> Record:
        return self.records[-1]


def folded(records: list[Record]) -> list[Entry]:
    """Return the rows of a timeline, runs of at least FOLDED_RECORDS transitions that are alike as one row."""
    entries: list[Entry] = []
    for form, run in groupby(records, key=_form):
        same = tuple(run)
        if form is None or len(same) < limits.FOLDED_RECORDS:
            entries += [Entry((record,)) for record in same]
        else:
            entries.append(Entry(same, alike.ranges([_reason(record) for record in same])))
    return entries


def _form(record: Record) -> str | None:
    """Return what a transition's reason looks like without its numbers, None for a record that is never folded."""
    return alike.form(_reason(record)) or None if record.kind == "transition" else None


def _reason(record: Record) -> str:
    return str(record.row.reason or "")[: limits.REASON_CHARACTERS]


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
        return min(self.start + self.width_seconds * limits.LANE_COLUMNS - 1, LAST_SECOND)

    def column(self, at: int) -> int | None:
        """Return the column that a time is in, or None if it is outside."""
        column = (at - self.start) // self.width_seconds
        return column if 0 <= column < limits.LANE_COLUMNS else None

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
            (transitions.order_by("timestamp"), "timestamp"), (snapshots.order_by("created_at"), "created_at"),
            (transitions.order_by("-timestamp"), "timestamp"), (snapshots.order_by("-created_at"), "created_at"),
        )  # fmt: skip
        firsts, lasts = ([int(at) for at in side if at is not None] for side in (bounds[:2], bounds[2:]))
        start = min(firsts, default=int(agent.updated_at)) if start is None else start
        end = max([*lasts, int(agent.updated_at)]) if end is None else end
    # A program may have written any number as a time.
    start, end = (min(max(bound, 0), LAST_SECOND) for bound in (start, max(end, start)))
    return Span(start, max(1, -(-(end + 1 - start) // limits.LANE_COLUMNS)))


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
    events = list(spoken.values_list("timestamp", "git_commit")[: limits.NEWEST_EVENTS])
    cut = f"only the {limits.NEWEST_EVENTS:,} events inserted last" if len(events) == limits.NEWEST_EVENTS else ""
    statuses = models.AuditEntry.objects.using(using).about(agent_id).with_action(Action.STATUS)
    return [
        Lane("transitions", _counted(models.Transition.objects.using(using).of_agent(agent_id), "timestamp", span)),
        *_captured_lane(agent_id, span, using),
        Lane("snapshots", _counted(models.Snapshot.objects.using(using).of_agent(agent_id), "created_at", span)),
        Lane("restores", _counted(models.Restore.objects.using(using).of_agent(agent_id), "at", span)),
        Lane("status", _gathered(statuses.newest_first().values_list("at", flat=True)[: limits.NEWEST_EVENTS], span)),
        Lane("events", _gathered((at for at, _ in events), span), cut),
        Lane("commits", _gathered((at for at, commit in events if commit), span), cut),
    ]


def _captured_lane(agent_id: str, span: Span, using: str) -> list[Lane]:
    """Return the lane of captured changes, none where nothing was captured."""
    captured = Past(agent_id, using=using, kinds=("captured",)).sources.get("captured")
    counts = {} if captured is None else _counted(captured, "at", span)
    return [Lane("captured", counts)] if counts else []


def _counted(rows: QuerySet[Model], column: str, span: Span) -> dict[int, int]:
    return bounded_counts(
        rows,
        column,
        start=span.start,
        width_seconds=span.width_seconds,
        columns=limits.LANE_COLUMNS,
        most=limits.LANE_COLUMN_ROWS,
    )


def _gathered(times: Iterable[int], span: Span) -> dict[int, int]:
    counts = Counter(span.column(int(at)) for at in times)
    return {column: min(count, limits.LANE_COLUMN_ROWS) for column, count in counts.items() if column is not None}


def stop_at(
    agent: models.AgentState, moment: moments.Moment, *, using: str | None = None, past: Past | None = None
) -> Record | None:
    """Return the record that a moment is, or the last one before it; None if nothing was recorded before."""
    past = past or Past(agent.agent_id, using=using)
    match moment:
        case moments.AtSnapshot(snapshot_id):
            row = past.sources["snapshot"].named(snapshot_id)
            return None if row is None else Record("snapshot", row)
        case moments.AtTransition(transition_id, side):
            record = _change(past, transition_id)
            return record if side == "after" or record is None else past.older(record.position)
        case moments.AtTime(seconds) if agent.is_gone:
            return past.last(until=seconds)
        case moments.AtTime(seconds):
            last = past.last(until=seconds)
            # As `state_at` has it: the row holds from its last save, unless a change was recorded later.
            changes = Past(agent.agent_id, using=past.using, kinds=CHANGES)
            is_own = int(agent.updated_at) <= seconds and changes.first_after(seconds) is None
            return own_record(agent, last, past.using) or last if is_own else last
        case moments.Now():
            last = past.last()
            return own_record(agent, last, past.using) or last


def own_record(agent: models.AgentState, last: Record | None, using: str) -> Record | None:
    """Return the agent's row as a record, where it holds a state that the last other record did not lead to."""
    if agent.is_gone:
        return None
    if last is not None and models.same_text(state_at(agent.agent_id, last.moment, using=using).text, agent.state_data):
        return None
    return Record("now", agent)


def _change(past: Past, transition_id: RowId) -> Record | None:
    """Return the transition of an id, or the captured change that poses as one."""
    if (number := models.CapturedChange.number_in(transition_id)) is not None:
        rows = past.sources.get("captured")
        row = rows.filter(pk=number).first() if rows is not None else None
        return None if row is None else Record("captured", row)
    row = past.sources["transition"].named(transition_id)
    return None if row is None else Record("transition", row)


def neighbours(
    agent: models.AgentState, stop: Record, *, using: str | None = None, past: Past | None = None
) -> tuple[Record | None, Record | None]:
    """Return the records before and after another one, None if there is none."""
    past = past or Past(agent.agent_id, using=using)
    if stop.kind == "now":
        last = past.last()
        if own_record(agent, last, past.using) is not None:
            return last, None
        # Its state was recorded again later, by a snapshot: it stands at the time of the last save.
        return past.last(until=int(agent.updated_at)), past.first_after(int(agent.updated_at))
    older, newer = past.older(stop.position), past.newer(stop.position)
    return older, newer or own_record(agent, stop, past.using)
