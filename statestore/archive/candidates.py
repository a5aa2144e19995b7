"""The records that may be archived: old enough, and not compared by the database with what is there now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from django.db.models import Exists, Max, OuterRef

from statestore import models
from statestore.archive import limits
from statestore.db import archive, vendor
from statestore.models.querysets import SAME_SECONDS
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet

Kind = Literal["transition", "snapshot"]
MODELS: Final[dict[Kind, type[models.Transition | models.Snapshot]]] = {
    "transition": models.Transition,
    "snapshot": models.Snapshot,
}
LIVE: Final[dict[Kind, str]] = {"transition": "state_transitions", "snapshot": "state_snapshots"}
STATES: Final[dict[Kind, tuple[str, ...]]] = {
    "transition": ("state_before", "state_after"),
    "snapshot": ("state_data",),
}
TIMES: Final[dict[Kind, str]] = {"transition": "timestamp", "snapshot": "created_at"}


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read without its states: where it stands, and the bytes of its states."""

    kind: Kind
    pk: str
    at: int
    rowid: int
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return sum(self.sizes)


@dataclass(frozen=True, slots=True)
class Archivable:
    """How much of an agent's past may be archived."""

    agent_id: str
    records: int
    bytes: int


def archivable(using: str, before: int) -> Iterator[Archivable]:
    """Yield the agents of which something may be archived that is older than a time."""
    for agent_id in agent_ids(using):
        found = list(records_of(using, agent_id, before))
        if found:
            yield Archivable(agent_id, len(found), sum(record.bytes for record in found))


def agent_ids(using: str) -> Iterator[str]:
    """Yield the agents that have live transitions or snapshots, each by one step through an index."""
    last: str | None = None
    while True:
        following = [_next_id(kind, last, using) for kind in MODELS]
        last = min((agent_id for agent_id in following if agent_id is not None), default=None)
        if last is None:
            return
        yield last


def _next_id(kind: Kind, last: str | None, using: str) -> str | None:
    rows = live(kind, using).order_by("agent_id").values_list("agent_id", flat=True)
    return (rows if last is None else rows.filter(agent_id__gt=last)).first()


def live(kind: Kind, using: str) -> TransitionQuerySet | SnapshotQuerySet:
    """Return the rows that are not archived; some may be packed."""
    return MODELS[kind].objects.using(using).live()


def packed_rows(kind: Kind, using: str) -> TransitionQuerySet | SnapshotQuerySet:
    """Return the rows whose states went into frames as they were written, which only agents with frames have."""
    agents = models.ArchiveFrame.objects.using(using).values("agent_id")
    return MODELS[kind].objects.using(using).packed().filter(agent_id__in=agents)


def records_of(using: str, agent_id: str, before: int) -> list[Record]:
    """Return an agent's records that may be archived, in the order of its past."""
    found = [record for kind in MODELS for record in _records(kind, using, agent_id, before)]
    return sorted(found, key=lambda record: (record.at, record.kind == "transition", record.rowid))


def _records(kind: Kind, using: str, agent_id: str, before: int) -> Iterator[Record]:
    column = TIMES[kind]
    rows = live(kind, using).filter(agent_id=agent_id)
    newest = rows.order_by(f"-{column}", "-rowid").values_list("pk", flat=True).first()
    kept = {newest, _last_inserted(kind, using), *_kept(kind, using, agent_id)}
    before = min(before, _captured_since(using, agent_id, before))
    whole = rows.exclude(archive.is_marked(STATES[kind][-1]))
    old = whole.filter(**{f"{column}__lt": before}).annotate(**_sizes(kind)).order_by(column, "rowid")
    names = [f"size_{name}" for name in STATES[kind]]
    for pk, at, rowid, *sizes in old.values_list("pk", column, "rowid", *names).iterator(limits.READ_ROWS):
        # A time that is no number stays as the orchestrator wrote it.
        if pk not in kept and type(at) is int and max(sizes) <= archive.MOST_BYTES:
            yield Record(kind, pk, at, rowid, tuple(sizes))


def _sizes(kind: Kind) -> dict[str, object]:
    return {f"size_{name}": vendor.byte_length(name) for name in STATES[kind]}


def _last_inserted(kind: Kind, using: str) -> object:
    """Return the row that was inserted last: SQLite would give its place to the next one."""
    last = live(kind, using).aggregate(last=Max("rowid"))["last"]
    return None if last is None else live(kind, using).filter(rowid=last).values_list("pk", flat=True).first()


def _kept(kind: Kind, using: str, agent_id: str) -> set[str]:
    """Return the records that restores made: their pages compare them with what is there now."""
    restores = models.Restore.objects.using(using).of_agent(agent_id)
    if kind == "transition":
        return set(restores.values_list("transition_id", flat=True))
    undo = models.Restore.objects.using(using).filter(undoes_id=OuterRef("pk"), agent_id=agent_id)
    return set(restores.exclude(Exists(undo)).values_list("safety_snapshot_id", flat=True))


def _captured_since(using: str, agent_id: str, before: int) -> int:
    """Return the time from which an agent's changes were captured: those are compared with its transitions by text."""
    first = (
        models.CapturedChange.objects.using(using).filter(agent_id=agent_id).order_by("at").values_list("at", flat=True)
    )
    at = first.first()
    return before if at is None else int(at) - SAME_SECONDS
