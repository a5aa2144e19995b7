"""Bases: a state that many frames of an agent are compressed with, so that not each of them has a long state whole."""

from contextlib import suppress
from typing import Final

from django.db import connections
from django.db.models import QuerySet

from statestore import models
from statestore.db import archive
from statestore.db.archive import Base
from statestore.errors import DatabaseError

# The frame of a base that is not written yet; no frame has it as its id.
NEW_FRAME: Final = 2**63 - 1


def base_for(using: str, agent_id: str, last: bytes, newest: bytes) -> Base | None:
    """Return the base for a frame that ends with a state; None where states are too short to be worth one.

    It is the agent's newest base as long as that costs less than a new one, else the newest state that is known: what
    only grows is in it already. Where that one is not alike, it is the frame's own last state.
    """
    if len(last) < archive.BASED_BYTES:
        return None
    if (known := _known_base(using, agent_id, last)) is not None:
        return known
    is_alike = 2 * archive.delta_bytes(last, newest) < archive.delta_bytes(last, None)
    return Base(NEW_FRAME, newest if is_alike else last)


def _known_base(using: str, agent_id: str, last: bytes) -> Base | None:
    """Return the agent's newest base, if the frames with it are not yet better served by a new one.

    Where each frame differs from the base by as much more, a new one is due once they take twice as much as a base.
    """
    frames = models.ArchiveFrame.objects.using(using).filter(agent_id=agent_id)
    frame_id = _newest_base(frames)
    if frame_id is None:
        return None
    whole = frames.filter(pk=frame_id).bytes().frames
    with suppress(DatabaseError):  # One that is damaged is named where it is read, and serves no more frames.
        base = Base(frame_id, archive.read_base(connections[using], frame_id))
        number = frames.filter(base_id=frame_id).count() + 1
        return base if number * archive.delta_bytes(last, base.raw) < 2 * whole else None
    return None


def _newest_base(frames: QuerySet[models.ArchiveFrame]) -> int | None:
    return frames.filter(base_id__isnull=False).order_by("-base_id").values_list("base_id", flat=True).first()
