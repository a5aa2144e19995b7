"""An agent's past: its records in one order, read by timeline, stops, state at a time, walk and blame.

Times are whole seconds, so records of one second need an order: transitions stand in order of insertion, and so do
captured changes; the two are chained by their texts, with the fewest gaps, and so that they fit between what was known
before and after the second; the safety snapshot of a restore comes before the restore's transition; any other snapshot
stands where its state fits last, and first where it fits nowhere. A second in which one kind has over ORDERED_ROWS
records is ordered by kind instead. The agent's own row is the last record, where it holds a state that no other record
led to.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from statestore import models
from statestore.db import pagination
from statestore.db.errors import translated_errors
from statestore.db.fields import NonInteger, text_bytes
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.history import limits, moments
from statestore.history.chain import Step, interleaved
from statestore.models.captured import CapturedChangeQuerySet
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet

Records: TypeAlias = TransitionQuerySet | CapturedChangeQuerySet | SnapshotQuerySet
Kind: TypeAlias = Literal["snapshot", "captured", "transition", "now"]
# A time that is none is a part of a cursor up to so many characters; then the cursor has up to so many.
_RAW_CHARACTERS: Final = 400
CURSOR_CHARACTERS: Final = 4_000
# The order within a second if texts do not decide it.
RANKS: Final[dict[Kind, int]] = {"snapshot": 0, "captured": 1, "transition": 2, "now": 3}


# A stored time as the database sorts it: nothing, numbers, texts, bytes. Its rank, then the number, or the bytes.
_Instant: TypeAlias = tuple[int, float, bytes]


def _instant_of(at: int) -> _Instant:
    """Return where a time stands among others: one that is no integer, where its column sorts it."""
    raw = at.raw if isinstance(at, NonInteger) else int(at)
    if isinstance(raw, str | bytes):
        return (3, 0, raw) if isinstance(raw, bytes) else (2, 0, text_bytes(raw))
    return (1, raw, b"") if isinstance(raw, int | float) else (0, 0, b"")


class Position(NamedTuple):
    """The place of a record in its agent's past. As text it is a cursor: `1790000000.17t`.

    A time that is no integer is kept as it is stored: others are compared with that.
    """

    at: int
    number: int
    kind: Kind = "transition"

    def __str__(self) -> str:
        return f"{_text_of(self.at)}.{self.number}{self.kind[0]}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position of a cursor; None, the newest, for none. Raises ValidationError for a damaged one."""
        if not text:
            return None
        kinds: dict[str, Kind] = {"s": "snapshot", "c": "captured"}
        try:
            at, _, number = text[:CURSOR_CHARACTERS].partition(".")
            return cls(_time_of(at), int(number.rstrip("sct")), kinds.get(number[-1:], "transition"))
        except ValueError:
            raise ValidationError("This cursor is damaged. Start again from the newest change.") from None


def _text_of(at: int) -> str:
    """Return a time in a cursor. What is too long to be one is taken for the number that it stands for."""
    if not isinstance(at, NonInteger) or len(str(at.raw)) > _RAW_CHARACTERS:
        return str(int(at))
    return f"_{pagination.encode_cursor([at], backwards=False)}"


def _time_of(text: str) -> int:
    if not text.startswith("_"):
        return int(text)
    _, (at,) = pagination.decode_cursor(text[1:], 1)
    if not isinstance(at, NonInteger):
        raise ValueError(text)
    return at


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded point of an agent's past; `row` is a Transition, Captured or Snapshot without states, or the agent."""

    kind: Kind
    row: Any

    @property
    def at(self) -> int:
        at: int = getattr(self.row, _COLUMNS[self.kind])
        return at

    @property
    def instant(self) -> _Instant:
        return _instant_of(self.at)

    @property
    def position(self) -> Position:
        number = self.row.pk if self.kind == "captured" else self.row.rowid
        return Position(self.at, int(number), self.kind)

    @property
    def moment(self) -> moments.Moment:
        """The moment of the record's state: after a change, of a snapshot, now."""
        match self.kind:
            case "snapshot":
                return moments.AtSnapshot(self.row.pk)
            case "captured":
                return moments.AtTransition(f"{models.CapturedChange.PREFIX}{self.row.pk}", "after")
            case "transition":
                return moments.AtTransition(self.row.pk, "after")
            case "now":
                return moments.Now()


_COLUMNS: Final[dict[Kind, str]] = {
    "snapshot": "created_at", "captured": "at", "transition": "timestamp", "now": "updated_at",
}  # fmt: skip


_MODELS: Final[dict[Kind, Any]] = {
    "snapshot": models.Snapshot, "captured": models.CapturedChange, "transition": models.Transition,
}  # fmt: skip
CHANGES: Final[tuple[Kind, ...]] = ("captured", "transition")


class Past:
    """The records of one agent. Rows come without their states; `kinds` leaves some kinds out."""

    def __init__(self, agent_id: str, *, using: str | None = None, kinds: Sequence[Kind] = tuple(RANKS)) -> None:
        self.agent_id = agent_id
        self.using = using or store_alias()
        self._every_kind = self._rows()
        self.sources: dict[Kind, Records] = {kind: rows for kind, rows in self._every_kind.items() if kind in kinds}
        self._seconds: dict[_Instant, list[Record] | None] = {}

    def _rows(self) -> dict[Kind, Records]:
        snapshots = models.Snapshot.objects.using(self.using).of_agent(self.agent_id)
        transitions = models.Transition.objects.using(self.using).of_agent(self.agent_id)
        rows: dict[Kind, Records] = {
            "snapshot": snapshots.without_state().with_size(),
            "transition": transitions.without_states().with_sizes(),
        }
        captured = models.CapturedChange.objects.using(self.using)
        # Excluding changes that transitions record too is the most expensive part of a page: skipped without captures.
        if captured.filter(agent_id=self.agent_id).exists():
            rows["captured"] = captured.of_agent(self.agent_id).without_states().with_sizes()
        return rows

    def page(self, limit: int, before: Position | None = None) -> list[Record]:
        """Return the newest records older than a position, newest first, up to a limit."""
        if before is None:
            return self._newest(self.sources, limit)
        group = self._second(before.at)
        if group is None:
            return self._newest(self._older_by_kind(before), limit)
        older = list(_older_part(group, before))[:limit]
        earlier = {kind: rows.earlier_than(before.at) for kind, rows in self.sources.items()}
        return older + self._newest(earlier, limit - len(older))

    def _newest(self, sources: dict[Kind, Records], limit: int) -> list[Record]:
        """Return the newest of some records, newest first, up to a limit."""
        if limit <= 0:
            return []
        seconds: dict[_Instant, list[Record]] = defaultdict(list)
        horizon: _Instant | None = None
        for kind, rows in sources.items():
            records = [Record(kind, row) for row in rows.newest_first()[: limit + 1]]
            for record in records:
                seconds[record.instant].append(record)
            if len(records) > limit:
                last = records[-1].instant
                horizon = last if horizon is None else max(horizon, last)
        # Seconds newer than the horizon are complete, those older are not; all others hold more than the limit.
        complete = {instant: seconds[instant] for instant in seconds if horizon is None or instant > horizon}
        arranged = self._arranged(complete)
        newest = [record for instant in sorted(complete, reverse=True) for record in reversed(arranged[instant])]
        if horizon is not None and len(newest) < limit:
            newest += reversed(self._at_horizon(seconds[horizon]))
        return newest[:limit]

    def _at_horizon(self, records: list[Record]) -> list[Record]:
        """Return the records of the second up to which a page was read, of which the oldest may be missing."""
        kinds = _by_kind(records)
        whole = self._second(records[0].at) if len(kinds) > 1 else None
        return whole if whole is not None else [record for kind in RANKS for record in kinds.get(kind, ())]

    def newest_first(self, before: Position | None = None, *, at_once: int) -> Iterator[Record]:
        """Yield all records older than a position, reading `at_once` at a time."""
        while records := self.page(at_once, before):
            yield from records
            before = records[-1].position

    def last(self, until: int | None = None) -> Record | None:
        """Return the last record, or the last one up to a second; None without one."""
        ends: list[Record] = []
        for kind, rows in self.sources.items():
            row = (rows if until is None else rows.until(until)).newest_first().first()
            ends += [] if row is None else [Record(kind, row)]
        return self._end_of_second(ends, last=True)

    def older(self, position: Position) -> Record | None:
        """Return the record before a position, None if it is the first."""
        return next(iter(self.page(1, position)), None)

    def newer(self, position: Position) -> Record | None:
        """Return the record after a position, None if it is the last."""
        group = self._second(position.at)
        if group is None:
            return self._newer_by_kind(position)
        places = [record.position for record in group]
        later = group[places.index(position) + 1 :] if position in places else []
        return later[0] if later else self.first_after(position.at)

    def first_after(self, at: int) -> Record | None:
        """Return the first record later than a second, None without one."""
        rows = {kind: source.later_than(at).oldest_first().first() for kind, source in self.sources.items()}
        return self._end_of_second([Record(kind, row) for kind, row in rows.items() if row is not None], last=False)

    def _newer_by_kind(self, position: Position) -> Record | None:
        """Return the record after a position in a second that is ordered by kind."""
        for kind in (kind for kind in RANKS if kind in self.sources and RANKS[kind] >= RANKS[position.kind]):
            rows = self.sources[kind].filter(**{_COLUMNS[kind]: position.at})
            rows = rows.newer_than(position.at, position.number) if kind == position.kind else rows
            if (row := rows.oldest_first().first()) is not None:
                return Record(kind, row)
        return self.first_after(position.at)

    def _end_of_second(self, ends: list[Record], *, last: bool) -> Record | None:
        """Return the last, or first, of the records that are the last, or first, of their kinds."""
        if not ends:
            return None
        tied = _at_the_end(ends, last=last)
        group = self._second(tied[0].at) if len(tied) > 1 else None
        if group:
            return group[-1 if last else 0]
        return sorted(tied, key=lambda record: RANKS[record.kind])[-1 if last else 0]

    def _second(self, at: int) -> list[Record] | None:
        """Return the records of one second, oldest first; None if there are too many to order by texts."""
        instant = _instant_of(at)
        if instant not in self._seconds:
            self._seconds[instant] = self._read_second(at)
        return self._seconds[instant]

    def _read_second(self, at: int) -> list[Record] | None:
        group: list[Record] = []
        for kind, rows in self.sources.items():
            newest = list(rows.filter(**{_COLUMNS[kind]: at}).newest_first()[: limits.ORDERED_ROWS + 1])
            if len(newest) > limits.ORDERED_ROWS:
                return None
            group += [Record(kind, row) for row in newest]
        instant = _instant_of(at)
        return self._arranged({instant: group})[instant]

    def _older_by_kind(self, before: Position) -> dict[Kind, Records]:
        """Return the rows that are older than a position in a second that is ordered by kind."""
        rank = RANKS[before.kind]
        return {
            kind: rows.older_than(before.at, before.number) if kind == before.kind
            else rows.until(before.at) if RANKS[kind] < rank else rows.earlier_than(before.at)
            for kind, rows in self.sources.items()
        }  # fmt: skip

    def _arranged(self, seconds: dict[_Instant, list[Record]]) -> dict[_Instant, list[Record]]:
        """Return the records of some seconds, each second oldest first."""
        groups = {instant: _by_kind(records) for instant, records in seconds.items()}
        mixed = [kinds for kinds in groups.values() if _needs_texts(kinds)]
        restored = self._restored(mixed)
        open_ones = [kinds for kinds in mixed if not _is_settled(kinds, restored)]
        texts = self._texts(open_ones)
        arranged = {}
        for instant, kinds in groups.items():
            if not _needs_texts(kinds):
                arranged[instant] = [record for kind in RANKS for record in kinds.get(kind, ())]
            else:
                changes = self._chained(kinds, texts)
                arranged[instant] = _with_snapshots(changes, kinds.get("snapshot", []), texts, restored)
        return arranged

    def _restored(self, groups: list[dict[Kind, list[Record]]]) -> dict[str, str]:
        """Return {safety snapshot: transition} of the restores whose transitions are in some groups."""
        ids = [record.row.pk for kinds in groups if "snapshot" in kinds for record in kinds.get("transition", ())]
        if not ids:
            return {}
        with translated_errors():
            restores = models.Restore.objects.using(self.using).filter(agent_id=self.agent_id, transition_id__in=ids)
            return dict(restores.values_list("safety_snapshot_id", "transition_id"))

    def _texts(self, groups: list[dict[Kind, list[Record]]]) -> dict[tuple[Kind, object], tuple[str, str]]:
        """Return {(kind, pk): (state before, state after)} of some groups; of a snapshot both are its state."""
        texts: dict[tuple[Kind, object], tuple[str, str]] = {}
        small = [kinds for kinds in groups if _bytes(kinds) <= limits.ORDERED_BYTES]
        for kind in ("captured", "transition", "snapshot"):
            pks = [record.row.pk for kinds in small for record in kinds.get(kind, ())]
            if not pks:
                continue
            columns = ("state_data", "state_data") if kind == "snapshot" else ("state_before", "state_after")
            with translated_errors():
                rows = _MODELS[kind].objects.using(self.using).filter(pk__in=pks)
                rows = rows.values_list("pk", *dict.fromkeys(columns))
                texts |= {(kind, pk): (states[0], states[-1]) for pk, *states in rows}
        return texts

    def _chained(self, kinds: dict[Kind, list[Record]], texts: "_Texts") -> list[Record]:
        """Return captured changes and transitions of one second as one chain, each kind in its own order."""
        captured, recorded = kinds.get("captured", []), kinds.get("transition", [])
        if not captured or not recorded:
            return [*captured, *recorded]
        first, second = ([_step(record, texts) for record in records] for records in (captured, recorded))
        order, gaps = interleaved(first, second)
        starts, ends = (first[0][0], second[0][0]), (first[-1][1], second[-1][1])
        if gaps or starts[order[0]] == ends[order[-1]]:
            # Several orders are as good by the texts of this second alone, such as where they end as they began.
            order, _ = interleaved(first, second, *self._known_around(captured[0].at))
        ahead = iter(captured), iter(recorded)
        return [next(ahead[side]) for side in order]

    def _known_around(self, at: int) -> tuple[set[bytes], set[bytes]]:
        """Return the states that were known before and after a second: of the nearest second with a record each."""
        rows = self._every_kind
        earlier = [(kind, source.earlier_than(at).newest_first().first()) for kind, source in rows.items()]
        later = [(kind, source.later_than(at).oldest_first().first()) for kind, source in rows.items()]
        before = self._nearest([Record(kind, row) for kind, row in earlier if row is not None], last=True)
        after = self._nearest([Record(kind, row) for kind, row in later if row is not None], last=False)
        if not after:
            with translated_errors():
                agents = models.AgentState.objects.using(self.using).filter(agent_id=self.agent_id)
                after = {text_bytes(text) for text in agents.values_list("state_data", flat=True)}
        return before, after

    def _nearest(self, ends: list[Record], *, last: bool) -> set[bytes]:
        """Return the states of the records that are nearest in time: of changes if there are any, else of snapshots."""
        if not ends:
            return set()
        tied = _at_the_end(ends, last=last)
        changes = [record for record in tied if record.kind in CHANGES]
        texts = self._texts([_by_kind(changes or tied)])
        return {text_bytes(states[1 if last else 0]) for states in texts.values()}


def _older_part(group: list[Record], before: Position) -> Iterator[Record]:
    """Yield the records of a second before a position, newest first.

    If the position's record was deleted, those of its kind that were inserted later are known to be newer, and so is
    what follows them. Snapshots among changes stand where they fit, so that nothing is known of them.
    """
    places = [record.position for record in group]
    if before in places:
        return reversed(group[: places.index(before)])
    is_ordered = before.kind in CHANGES or all(record.kind == before.kind for record in group)
    newer = [n for n, place in enumerate(places) if place.kind == before.kind and place.number > before.number]
    return reversed(group[: newer[0]] if newer and is_ordered else group)


def _at_the_end(records: list[Record], *, last: bool) -> list[Record]:
    """Return those of some records that are the last, or the first, in time."""
    end = (max if last else min)(record.instant for record in records)
    return [record for record in records if record.instant == end]


def _by_kind(records: Iterable[Record]) -> dict[Kind, list[Record]]:
    """Return the records of each kind in order of insertion."""
    kinds: dict[Kind, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.position.number):
        kinds[record.kind].append(record)
    return dict(kinds)


def _needs_texts(kinds: dict[Kind, list[Record]]) -> bool:
    return len(kinds) > 1 and all(len(records) <= limits.ORDERED_ROWS for records in kinds.values())


def _is_settled(kinds: dict[Kind, list[Record]], restored: dict[str, str]) -> bool:
    """Return whether restores alone decide the order: each snapshot is the safety snapshot of one of them."""
    return "captured" not in kinds and all(record.row.pk in restored for record in kinds.get("snapshot", ()))


def _bytes(kinds: dict[Kind, list[Record]]) -> int:
    names = {"snapshot": ("size",)}
    return sum(
        getattr(record.row, name) or 0
        for kind, records in kinds.items()
        for record in records
        for name in names.get(kind, ("size_before", "size_after"))
    )


_Texts: TypeAlias = dict[tuple[Kind, object], tuple[str, str]]


def _step(record: Record, texts: _Texts) -> Step:
    """Return the states before and after a change; of one whose texts were not read, states that equal no other."""
    states = texts.get((record.kind, record.row.pk))
    return (object(), object()) if states is None else (text_bytes(states[0]), text_bytes(states[1]))


def _with_snapshots(
    changes: list[Record], snapshots: list[Record], texts: _Texts, restored: dict[str, str]
) -> list[Record]:
    """Return the changes of one second, with each snapshot where the state was the snapshot's."""
    places: dict[int, list[Record]] = defaultdict(list)
    transitions = {record.row.pk: place for place, record in enumerate(changes)}
    states = [_states(change, texts) for change in changes]
    for snapshot in snapshots:
        place = transitions.get(restored.get(snapshot.row.pk, ""))
        places[_fitting(states, _states(snapshot, texts)[0]) if place is None else place].append(snapshot)
    ordered: list[Record] = []
    for place in range(len(changes) + 1):
        ordered += [*places[place], *changes[place : place + 1]]
    return ordered


def _fitting(states: list[tuple[str | None, str | None]], text: str | None) -> int:
    """Return the last place between changes where the state equals a text, or the first place."""
    fits = [place + 1 for place, (_, after) in enumerate(states) if _same(after, text)]
    return max(fits, default=0)


def _states(record: Record, texts: _Texts) -> tuple[str | None, str | None]:
    return texts.get((record.kind, record.row.pk), (None, None))


def _same(text: str | None, other: str | None) -> bool:
    return text is not None and other is not None and models.same_text(text, other)
