"""Frames that are filled with states, proven and written."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from django.db import connections

from descartes_site.locations import COMMAND
from statestore import models
from statestore.archive import bases
from statestore.db import archive, vendor
from statestore.db.archive import Base, Frame, StoredState
from statestore.errors import DatabaseError

Row = TypeVar("Row")


@dataclass(slots=True)
class Draft(Generic[Row]):
    """A frame that is being filled: distinct states in a row, and the records whose states lie in it."""

    states: list[StoredState] = field(default_factory=list)
    bytes: int = 0
    records: list[tuple[Row, tuple[int, ...]]] = field(default_factory=list)

    def place_for(self, state: StoredState) -> int:
        """Return the number of a state in the frame; one like the last is not stored again."""
        if not self.states or self.states[-1] != state:
            self.states.append(state)
            self.bytes += len(state.raw)
        return len(self.states) - 1

    @property
    def is_full(self) -> bool:
        """Whether reading a state of it would take longer if it had more."""
        return len(self.states) >= archive.FRAME_STATES - 1 or self.bytes >= archive.FRAME_BYTES


def prove(data: bytes, states: Sequence[StoredState], base: Base | None) -> None:
    """Read every state back before anything is moved."""
    frame = Frame("The new archive frame", data, lambda _: b"" if base is None else base.raw)
    if any(frame.state(number) != state for number, state in enumerate(states)):
        raise DatabaseError(f"A state read back from the archive differs. Nothing was moved. Run `{COMMAND} doctor`.")


def write(using: str, agent_id: str, draft: Draft[Row], base: Base | None, data: bytes) -> list[models.ArchiveFrame]:
    """Write a frame, and its base before it if that is new; return what was written.

    Nothing is written if the base is gone: another process may have found that nothing needs it any more.
    """
    if base is None:
        return [_insert(using, agent_id, data, len(draft.states), draft.bytes)]
    if base.frame_id == bases.NEW_FRAME:
        new = _insert(using, agent_id, archive.packed([StoredState(base.raw)]))
        data = archive.with_base(data, new.pk)
        return [new, _insert(using, agent_id, data, len(draft.states), draft.bytes, new.pk)]
    if not is_there(using, base.frame_id):
        return []
    return [_insert(using, agent_id, data, len(draft.states), draft.bytes, base.frame_id)]


def _insert(
    using: str, agent_id: str, data: bytes, states: int = 0, unpacked_bytes: int = 0, base_id: int | None = None
) -> models.ArchiveFrame:
    frame = models.ArchiveFrame(
        agent_id=agent_id, at=models.now(), states=states, unpacked_bytes=unpacked_bytes, data=data,
        sha256=hashlib.sha256(data).hexdigest(), base_id=base_id,
    )  # fmt: skip
    frame.save(using=using, force_insert=True)
    return frame


def is_there(using: str, frame_id: int) -> bool:
    """Return whether a frame is there, and keep it there until the end of the transaction."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM dash_frame WHERE id = %s{vendor.row_lock(using)}", [frame_id])  # noqa: S608
        return cursor.fetchone() is not None
