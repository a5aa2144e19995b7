"""Moving records into frames: the frame first, then the rows, in transactions that the orchestrator hardly waits for.

Killed at any point, each record is either where it was or archived; a frame without rows is removed by the next run.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import connections

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.archive import bases, limits
from statestore.archive.candidates import LIVE, STATES, Record, agent_ids, live, records_of
from statestore.db import archive, pagination, transactions, vendor
from statestore.db.archive import Base, Frame, StoredState
from statestore.db.fields import StoredBlob, text_bytes
from statestore.errors import DatabaseError
from statestore.models.audit import Action
from statestore.models.querysets import delete_unused_frames


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived: records, the bytes of their states before, and the bytes of their frames."""

    records: int = 0
    bytes: int = 0
    packed_bytes: int = 0

    def __add__(self, other: "Archived") -> "Archived":
        return Archived(self.records + other.records, self.bytes + other.bytes, self.packed_bytes + other.packed_bytes)


@dataclass(slots=True)
class _Draft:
    """A frame that is being filled: distinct states in a row, and the records whose states lie in it."""

    states: list[StoredState] = field(default_factory=list)
    bytes: int = 0
    records: list[tuple[Record, tuple[int, ...]]] = field(default_factory=list)

    def place_for(self, state: StoredState) -> int:
        """Return the number of a state in the frame; one like the last is not stored again."""
        if not self.states or self.states[-1] != state:
            self.states.append(state)
            self.bytes += len(state.raw)
        return len(self.states) - 1

    @property
    def is_full(self) -> bool:
        return len(self.states) >= archive.FRAME_STATES - 1 or self.bytes >= archive.FRAME_BYTES


def switch_on(using: str) -> str:
    """Return the token of the store's markers. The first time, wait until all processes read archived rows too."""
    switch = models.ArchiveSwitch.objects.using(using).first()
    if switch is None:
        with transactions.writing(using):
            switch, is_new = models.ArchiveSwitch.objects.using(using).get_or_create(
                pk=1, defaults={"token": secrets.token_hex(archive.TOKEN_CHARACTERS // 2), "at": models.now()}
            )
        if is_new:
            time.sleep(2 * archive.NOTICED_SECONDS)
    archive.forget_token(using)
    return str(switch.token)


def archive_before(
    using: str, before: int, *, by: Actor, least: int = 1, go_on: Callable[[], bool] = lambda: True
) -> Iterator[tuple[str, Archived]]:
    """Archive what is older than a time, and yield (agent id, what was archived) agent by agent, until told to stop.

    Agents with fewer than `least` records that are old enough are left for later.
    """
    for agent_id in agent_ids(using):
        if not go_on():
            return
        records = records_of(using, agent_id, before)
        if len(records) >= least:
            yield agent_id, archive_agent(using, agent_id, records, by=by, go_on=go_on)


def archive_agent(
    using: str, agent_id: str, records: Sequence[Record], *, by: Actor, newest: str | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Archived:  # fmt: skip
    """Archive some records of an agent, and return what was archived.

    `newest` is the newest state that is known, if the records do not have it yet: others are compressed with it.
    """
    token = switch_on(using)
    with transactions.writing(using):
        delete_unused_frames(using, agent_id)
    done = Archived()
    latest = text_bytes(newest) if newest is not None else _last_state(using, records)
    for draft in _drafts(using, records):
        if not go_on():
            break
        base = bases.base_for(using, agent_id, draft.states[-1].raw, latest)
        done += _archive(using, agent_id, draft, base, token, by)
    return done


def _last_state(using: str, records: Sequence[Record]) -> bytes:
    states = next(iter(_texts(using, records[-1:]).values()), ())
    return states[-1].raw if states else b""


def _drafts(using: str, records: Sequence[Record]) -> Iterator[_Draft]:
    draft = _Draft()
    for portion in _portions(records):
        texts = _texts(using, portion)
        for record in portion:
            states = texts.get((record.kind, record.pk))
            if states is None or tuple(len(state.raw) for state in states) != record.sizes:
                continue  # Deleted or replaced meanwhile.
            draft.records.append((record, tuple(draft.place_for(state) for state in states)))
            if draft.is_full:
                yield draft
                draft = _Draft()
    if draft.records:
        yield draft


def _portions(records: Sequence[Record]) -> Iterator[list[Record]]:
    sized = ((record, record.bytes) for record in records)
    return pagination.portions(sized, limits.MOVED_BYTES, limits.MOVED_ROWS)


def _texts(using: str, records: Sequence[Record]) -> dict[tuple[str, str], tuple[StoredState, ...]]:
    found: dict[tuple[str, str], tuple[StoredState, ...]] = {}
    for kind in STATES:
        pks = [record.pk for record in records if record.kind == kind]
        for pk, *texts in live(kind, using).filter(pk__in=pks).values_list("pk", *STATES[kind]) if pks else ():
            found[kind, pk] = tuple(StoredState(text_bytes(text), isinstance(text, StoredBlob)) for text in texts)
    return found


def _archive(using: str, agent_id: str, draft: _Draft, base: Base | None, token: str, by: Actor) -> Archived:
    data = archive.packed(draft.states, base)
    _prove(data, draft.states, base)
    with transactions.writing(using):
        frames = _written(using, agent_id, draft, base, data)
        if not frames:
            return Archived()
        packed_bytes = sum(len(frame.data) for frame in frames)
        audit.record(
            Action.ARCHIVE, "agent", row_id=agent_id, by=by, using=using, vouches_for=frames,
            detail={"records": len(draft.records), "bytes": draft.bytes, "packed_bytes": packed_bytes},
        )  # fmt: skip
    places = dict(draft.records)
    moved = Archived(packed_bytes=packed_bytes)
    for portion in _portions([record for record, _ in draft.records]):
        moved += _move(using, frames[-1], [(record, places[record]) for record in portion], token)
    return moved


def _prove(data: bytes, states: Sequence[StoredState], base: Base | None) -> None:
    """Read every state back before anything is moved."""
    frame = Frame("The new archive frame", data, lambda _: b"" if base is None else base.raw)
    if any(frame.state(number) != state for number, state in enumerate(states)):
        raise DatabaseError(f"A state read back from the archive differs. Nothing was moved. Run `{COMMAND} doctor`.")


def _written(using: str, agent_id: str, draft: _Draft, base: Base | None, data: bytes) -> list[models.ArchiveFrame]:
    """Write a frame, and its base before it if that is new; return what was written.

    Nothing is written if the base is gone: another process may have found that nothing needs it any more.
    """
    if base is None:
        return [_write(using, agent_id, data, len(draft.states), draft.bytes)]
    if base.frame_id == bases.NEW_FRAME:
        new = _write(using, agent_id, archive.packed([StoredState(base.raw)]))
        data = archive.with_base(data, new.pk)
        return [new, _write(using, agent_id, data, len(draft.states), draft.bytes, new.pk)]
    if not _is_there(using, base.frame_id):
        return []
    return [_write(using, agent_id, data, len(draft.states), draft.bytes, base.frame_id)]


def _write(
    using: str, agent_id: str, data: bytes, states: int = 0, unpacked_bytes: int = 0, base_id: int | None = None
) -> models.ArchiveFrame:
    frame = models.ArchiveFrame(
        agent_id=agent_id, at=models.now(), states=states, unpacked_bytes=unpacked_bytes, data=data,
        sha256=hashlib.sha256(data).hexdigest(), base_id=base_id,
    )  # fmt: skip
    frame.save(using=using, force_insert=True)
    return frame


def _is_there(using: str, frame_id: int) -> bool:
    """Return whether a frame is there, and keep it there until the end of the transaction."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM dash_frame WHERE id = %s{vendor.row_lock(using)}", [frame_id])  # noqa: S608
        return cursor.fetchone() is not None


def _move(
    using: str, frame: models.ArchiveFrame, records: Sequence[tuple[Record, tuple[int, ...]]], token: str
) -> Archived:
    """Move rows in one transaction: those that are still as they were read.

    Nothing is moved if the frame is gone: another process may have found it unused before its first row was moved.
    """
    moved = Archived()
    with transactions.writing(using), connections[using].cursor() as cursor:
        if not _is_there(using, frame.pk):
            return moved
        for record, places in records:
            table, twin = LIVE[record.kind], archive.TWINS[LIVE[record.kind]]
            marks = [
                archive.marker(token, frame.pk, place, size) for place, size in zip(places, record.sizes, strict=True)
            ]
            sources = iter(marks)
            columns = archive.COLUMNS[table]
            # All other columns are copied by the database, whatever is in them.
            values = ["%s" if name in STATES[record.kind] else f'"{name}"' for name in columns]
            bound = [next(sources) for name in columns if name in STATES[record.kind]]
            names = ", ".join(f'"{name}"' for name in columns)
            same = " AND ".join(f"{vendor.length_sql(connections[using], name)} = %s" for name in STATES[record.kind])
            cursor.execute(
                f'INSERT INTO {twin} ({names}, place) SELECT {", ".join(values)}, "rowid" FROM {table}'  # noqa: S608
                f' WHERE id = %s AND "rowid" = %s AND {same}',
                [*bound, record.pk, record.rowid, *record.sizes],
            )
            if cursor.rowcount == 1:
                cursor.execute(f'DELETE FROM {table} WHERE id = %s AND "rowid" = %s', [record.pk, record.rowid])  # noqa: S608
                moved += Archived(1, record.bytes)
    return moved
