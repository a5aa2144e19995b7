"""Packing: new rows whose states go into frames at once, so that what comes in bulk is never written whole.

The rows stand in the orchestrator's tables, with markers in the place of their states. Only the embedded store has such
rows: no orchestrator reads it.
"""

from collections.abc import Iterator, Sequence

from django.db import connections

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.archive import bases, frames
from statestore.archive.candidates import STATES
from statestore.archive.frames import Draft
from statestore.db import archive
from statestore.db.archive import Base, StoredState
from statestore.db.fields import has_surrogate, text_bytes
from statestore.models.audit import Action

NewRow = models.Transition | models.Snapshot


def pack(using: str, agent_id: str, rows: Sequence[NewRow], *, newest: str, by: Actor) -> None:
    """Write the states of an agent's new rows into frames, and let the rows hold markers.

    Call it in the transaction that inserts the rows, after `switch_on`. `newest` is the newest state that is known:
    others are compressed with it.
    """
    token, latest = archive.token_of(connections[using]), text_bytes(newest)
    assert token is not None
    written: list[models.ArchiveFrame] = []
    sizes = [0, 0]
    for draft in _drafts(rows):
        base = bases.base_for(using, agent_id, draft.states[-1].raw, latest)
        made = _written(using, agent_id, draft, base) or _written(using, agent_id, draft, None)
        written += made
        sizes[0], sizes[1] = sizes[0] + len(draft.records), sizes[1] + draft.bytes
        for row, places in draft.records:
            for name, place in zip(_state_columns(row), places, strict=True):
                size = len(draft.states[place].raw)
                setattr(row, name, archive.marker(token, made[-1].pk, place, size))
    if written:
        packed_bytes = sum(len(frame.data) for frame in written)
        audit.record(
            Action.ARCHIVE, "agent", row_id=agent_id, by=by, using=using, vouches_for=written,
            detail={"records": sizes[0], "bytes": sizes[1], "packed_bytes": packed_bytes},
        )  # fmt: skip


def _drafts(rows: Sequence[NewRow]) -> Iterator[Draft[NewRow]]:
    draft = Draft[NewRow]()
    for row in rows:
        texts = [getattr(row, name) for name in _state_columns(row)]
        # Half of a surrogate pair has no bytes that would be read as the same text.
        if any(has_surrogate(text) or len(text) > archive.MOST_BYTES // 4 for text in texts):
            continue
        states = [StoredState(text_bytes(text)) for text in texts]
        draft.records.append((row, tuple(draft.place_for(state) for state in states)))
        if draft.is_full:
            yield draft
            draft = Draft[NewRow]()
    if draft.records:
        yield draft


def _written(using: str, agent_id: str, draft: Draft[NewRow], base: Base | None) -> list[models.ArchiveFrame]:
    data = archive.packed(draft.states, base)
    frames.prove(data, draft.states, base)
    return frames.write(using, agent_id, draft, base, data)


def _state_columns(row: NewRow) -> tuple[str, ...]:
    return STATES["transition" if isinstance(row, models.Transition) else "snapshot"]
