"""What changed across all agents in a range of time, newest first: transitions, snapshots, edits by people.

Each source has an index of its own by time; a page reads the newest of each and merges them.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from statestore import models
from statestore.access.scope import Scope
from statestore.db import pagination
from statestore.db.counts import bounded_counts
from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.history import limits, moments
from statestore.history.audit_sentences import Sentence, sentences
from statestore.models.audit import Action
from statestore.models.querysets import SAME_SECONDS, AnyRows, Intervals, older
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet

RowsOfAgents = TypeVar("RowsOfAgents", TransitionQuerySet, SnapshotQuerySet)

Kind: TypeAlias = Literal["transition", "restore", "snapshot", "edit"]
KINDS: Final[tuple[Kind, ...]] = ("transition", "restore", "snapshot", "edit")
# What people change in rows; what they do besides, such as plans, has lists of its own.
_EDITS: Final = (
    Action.CREATE, Action.EDIT, Action.MOVE, Action.END, Action.DELETE, Action.UNDELETE, Action.PURGE, Action.CHANGE,
    Action.STATUS, Action.FORK,
)  # fmt: skip
# column of the time, column of the order within a second
_ORDERS: Final = {"snapshot": ("created_at", "rowid"), "transition": ("timestamp", "rowid"), "edit": ("at", "id")}
# Within one second: an edit is noted after the transition that it made.
_RANKS: Final = {name: rank for rank, name in enumerate(_ORDERS)}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which changes: from `start` to `end`, both included; what is empty, or None, keeps all.

    `reason` and `person` are looked for in the newest SEARCHED_CHANGES of each kind. `with_edits` is whether the caller
    may read the audit log.
    """

    start: int
    end: int
    kind: str = ""
    agent_id: str = ""
    namespace: str | None = None
    reason: str = ""
    person: str = ""
    with_edits: bool = True


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One change. `row` is a transition with sizes, a snapshot with its size, or an audit entry, all without states.

    `restore` is the restore that made a transition, `sentence` what an audit entry says.
    """

    source: str
    row: Any
    restore: models.Restore | None = None
    sentence: Sentence | None = None

    @property
    def kind(self) -> Kind:
        kinds: dict[str, Kind] = {"snapshot": "snapshot", "edit": "edit"}
        return "restore" if self.restore is not None else kinds.get(self.source, "transition")

    @property
    def at(self) -> int:
        return int(getattr(self.row, _ORDERS[self.source][0]))

    @property
    def agent_id(self) -> str:
        """The agent that changed; empty for an edit of something else."""
        if self.source == "edit":
            return self.row.row_id if self.row.noun == "agent" else ""
        return self.row.agent_id  # type: ignore[no-any-return]

    @property
    def text(self) -> str:
        """The reason of a change, the description of a snapshot, or what an edit was."""
        if self.sentence is not None:
            return self.sentence.predicate
        return str((self.row.description if self.source == "snapshot" else self.row.reason) or "")

    @property
    def by(self) -> str:
        """Who made it, as far as it is recorded."""
        if self.source == "edit":
            return str(self.row.actor)
        return self.restore.actor if self.restore is not None else getattr(self.row, "by", "")

    @property
    def page(self) -> tuple[str, str | int] | None:
        """The noun and the id of what has a page: an edit of a task or session has one, where it can be taken back."""
        if self.source != "edit":
            return self.kind, (self.restore or self.row).pk
        is_revertible = self.row.noun in ("task", "session") and self.row.before and self.row.after
        return ("edit", self.row.pk) if is_revertible else None

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.at, _RANKS[self.source], int(getattr(self.row, _ORDERS[self.source][1]))

    @property
    def cursor(self) -> str:
        return pagination.encode_cursor(list(self._place), backwards=False)


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of changes, and the cursor of what is older in the range."""

    rows: list[ChangeRecord]
    older: str | None


def time_range(start: int | None, end: int | None) -> tuple[int, int]:
    """Return the first and the last second of a range: it ends now and is a day long where it is not said.

    Raises ValidationError for an end before the start.
    """
    end = models.now() if end is None else end
    start = max(0, end - limits.CHANGES_SECONDS + 1) if start is None else start
    moments.check_range(start, end)
    return start, end


def changes_across(seen: Scope, asked: Asked, *, cursor: str = "", size: int = pagination.USUAL_SIZE) -> ChangePage:
    """Return a page of the changes that are asked for, newest first. Raises ValidationError for a damaged cursor."""
    place = _place(cursor)
    records: list[ChangeRecord] = []
    with translated_errors():
        for source, rows in _sources(seen, asked).items():
            at, number = _ORDERS[source]
            rows = rows.filter(**{f"{at}__gte": asked.start, f"{at}__lte": asked.end})
            rows = _older(rows, source, place).order_by(f"-{at}", f"-{number}")
            records += [ChangeRecord(source, row) for row in rows[: size + 1]]
        records.sort(key=lambda record: record._place, reverse=True)
        shown = _told(seen, records[:size])
    return ChangePage(shown, shown[-1].cursor if len(records) > size else None)


def counts_across(seen: Scope, asked: Asked, among: Intervals) -> dict[int, int]:
    """Return how many changes that are asked for there are in each interval, of each kind up to a limit."""
    total = Counter[int]()
    for source, rows in _sources(seen, asked).items():
        total.update(
            bounded_counts(
                rows, _ORDERS[source][0], start=among.start, width_seconds=among.seconds,
                columns=among.number, most=limits.COUNTED_CHANGES,
            )
        )  # fmt: skip
    return dict(total)


def _place(cursor: str) -> tuple[int, int, int] | None:
    if not cursor:
        return None
    _, parts = pagination.decode_cursor(cursor, 3)
    at, rank, number = (part if isinstance(part, int) else None for part in parts)
    if at is None or rank is None or number is None:
        raise ValidationError("The page's cursor is invalid. Start again from the first page.")
    return at, rank, number


def _older(rows: QuerySet[Model], source: str, place: tuple[int, int, int] | None) -> QuerySet[Model]:
    if place is None:
        return rows
    at, number = _ORDERS[source]
    if _RANKS[source] == place[1]:
        return older(rows, at, place[0], place[2], order=number)
    until = "lte" if _RANKS[source] < place[1] else "lt"
    return rows.filter(**{f"{at}__{until}": place[0]})


def _sources(seen: Scope, asked: Asked) -> dict[str, QuerySet[Model]]:
    """Return the rows of each kind that is asked for, in any order."""
    sources: dict[str, QuerySet[Model]] = {}
    if asked.kind in ("", "transition", "restore"):
        sources["transition"] = _transitions(seen, asked)
    if asked.kind in ("", "snapshot") and not asked.person:
        rows = _of_agents(seen.snapshots(), seen, asked)
        rows = _holding(rows, asked, "snapshot", _contain(description=asked.reason))
        sources["snapshot"] = rows.without_state().with_size()
    if asked.kind in ("", "edit") and asked.with_edits:
        sources["edit"] = _edits(seen, asked)
    return sources


def _transitions(seen: Scope, asked: Asked) -> QuerySet[Model]:
    rows = _of_agents(seen.transitions(), seen, asked)
    if asked.kind == "restore":
        # Restores are few, and have an index by time of their own.
        near = seen.restores().filter(at__gte=asked.start - SAME_SECONDS, at__lte=asked.end + SAME_SECONDS)
        rows = rows.filter(pk__in=near.order_by().values("transition_id"))
    elif asked.kind == "transition":
        made = models.Restore.objects.filter(transition_id=OuterRef("pk"), agent_id=OuterRef("agent_id"))
        rows = rows.filter(~Exists(made))
    wanted = {"reason": asked.reason, "metadata": asked.person}
    return _holding(rows, asked, "transition", _contain(**wanted)).without_states().with_sizes()


def _edits(seen: Scope, asked: Asked) -> QuerySet[Model]:
    rows = seen.audit().filter(action__in=[action.value for action in _EDITS])
    if asked.agent_id:
        rows = rows.filter(noun="agent", row_id=asked.agent_id)
    if asked.namespace is not None:
        ids = seen.agents().in_namespace(asked.namespace).order_by().values("agent_id")
        rows = rows.filter(noun="agent", row_id__in=ids)
    wanted = Q(actor=asked.person) if asked.person else Q()
    return _holding(rows, asked, "edit", wanted & (_contain(detail=asked.reason) | _contain(after=asked.reason)))


def _of_agents(rows: RowsOfAgents, seen: Scope, asked: Asked) -> RowsOfAgents:
    if asked.agent_id:
        rows = rows.of_agent(asked.agent_id)
    if asked.namespace is not None:
        ids = seen.agents().in_namespace(asked.namespace).order_by().values("agent_id")
        rows = rows.filter(agent_id__in=ids)
    return rows


def _contain(**wanted: str) -> Q:
    """Return the condition that columns contain texts, of which the empty ones ask for nothing."""
    return Q(**{f"{column}__icontains": text for column, text in wanted.items() if text})


def _holding(rows: AnyRows, asked: Asked, source: str, condition: Q) -> AnyRows:
    """Keep the rows that meet a condition, of the newest in the range: texts behind states are slow to read."""
    if not condition:
        return rows
    at, number = _ORDERS[source]
    within = rows.filter(**{f"{at}__gte": asked.start, f"{at}__lte": asked.end}).order_by(f"-{at}", f"-{number}")
    return rows.filter(condition, pk__in=within.values("pk")[: limits.SEARCHED_CHANGES])


def _told(seen: Scope, records: list[ChangeRecord]) -> list[ChangeRecord]:
    """Return the records, each transition of a restore with that, each edit with its sentence."""
    ids = [record.row.pk for record in records if record.source == "transition"]
    agents = {record.agent_id for record in records if record.source == "transition"}
    made = seen.restores().filter(agent_id__in=agents, transition_id__in=ids)
    by_transition = {str(restore.transition_id): restore for restore in made}
    edits = [record.row for record in records if record.source == "edit"]
    by_entry = dict(zip((entry.pk for entry in edits), sentences(edits, seen), strict=True))
    return [
        replace(one, restore=by_transition.get(str(one.row.pk)))
        if one.source == "transition"
        else replace(one, sentence=by_entry.get(one.row.pk))
        for one in records
    ]
