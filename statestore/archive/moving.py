"""Moving records into frames: the frame first, then the rows, in transactions that the orchestrator hardly waits for.

Killed at any point, each record is either where it was or archived; a frame without rows is removed by the next run.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.db import connections

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.archive import bases, frames, limits
from statestore.archive.candidates import LIVE, STATES, Record, agent_ids, live, records_of
from statestore.archive.frames import Draft
from statestore.db import archive, pagination, transactions, vendor
from statestore.db.archive import Base, StoredState
from statestore.db.fields import StoredBlob, text_bytes
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


def _drafts(using: str, records: Sequence[Record]) -> Iterator[Draft[Record]]:
    draft = Draft[Record]()
    for portion in _portions(records):
        texts = _texts(using, portion)
        for record in portion:
            states = texts.get((record.kind, record.pk))
            if states is None or tuple(len(state.raw) for state in states) != record.sizes:
                continue  # Deleted or replaced meanwhile.
            draft.records.append((record, tuple(draft.place_for(state) for state in states)))
            if draft.is_full:
                yield draft
                draft = Draft[Record]()
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


def _archive(using: str, agent_id: str, draft: Draft[Record], base: Base | None, token: str, by: Actor) -> Archived:
    data = archive.packed(draft.states, base)
    frames.prove(data, draft.states, base)
    with transactions.writing(using):
        written = frames.write(using, agent_id, draft, base, data)
        if not written:
            return Archived()
        packed_bytes = sum(len(frame.data) for frame in written)
        audit.record(
            Action.ARCHIVE, "agent", row_id=agent_id, by=by, using=using, vouches_for=written,
            detail={"records": len(draft.records), "bytes": draft.bytes, "packed_bytes": packed_bytes},
        )  # fmt: skip
    places = dict(draft.records)
    moved = Archived(packed_bytes=packed_bytes)
    for portion in _portions([record for record, _ in draft.records]):
        moved += _move(using, written[-1], [(record, places[record]) for record in portion], token)
    return moved


def _move(
    using: str, frame: models.ArchiveFrame, records: Sequence[tuple[Record, tuple[int, ...]]], token: str
) -> Archived:
    """Move rows in one transaction: those that are still as they were read.

    Nothing is moved if the frame is gone: another process may have found it unused before its first row was moved.
    """
    moved = Archived()
    with transactions.writing(using), connections[using].cursor() as cursor:
        if not frames.is_there(using, frame.pk):
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
