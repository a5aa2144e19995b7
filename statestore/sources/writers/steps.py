"""What all writers share: which step a moment means, and one transaction in the framework's own store."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from statestore import models
from statestore.errors import DatabaseError, Moved
from statestore.history import KnownState
from statestore.history.moments import AtSnapshot, AtTransition
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source, SourceThread
from statestore.sources import locations
from statestore.sources.contract import Reader, Rows
from statestore.sources.readers.columns import json_of
from statestore.sources.state_texts import state_text

_STATES_AT_ONCE: Final = 20
_HALVES: Final = re.compile("[\ud800-\udfff]")


def meant_by(thread: SourceThread, target: KnownState, text: str) -> Iterator[str]:
    """Yield the keys of the steps after which the state may have been the wanted one, the likeliest first.

    The same state may be that after several steps, from which the framework goes on differently: a transition names its
    step, and the snapshot that a restore took names the step over which that was.
    """
    using, moment = str(thread._state.db), target.moment
    transitions = models.Transition.objects.using(using).of_agent(thread.agent_id)
    named = transitions.without_states()
    found: list[str] = []
    if isinstance(moment, AtTransition) and (meant := named.filter(pk=moment.transition_id).first()):
        found.append(_steps_around(meant)[moment.side == "after"])
    if isinstance(moment, AtSnapshot):
        undone = models.Restore.objects.using(using).filter(safety_snapshot_id=moment.snapshot_id).first()
        if undone and (made_by := named.filter(pk=undone.transition_id).first()):
            found.append(_steps_around(made_by)[0])
    yield from filter(None, found)
    until = transitions.filter(timestamp__lte=target.at if target.at is not None else models.now())
    for row in until.newest_first().iterator(chunk_size=_STATES_AT_ONCE):
        if models.same_text(row.state_after, text) and (key := _steps_around(row)[1]):
            yield key


def _steps_around(transition: models.Transition) -> tuple[str, str]:
    """Return the steps (before, after) a transition: a mirrored one, or that of a restore."""
    noted = noted_of(transition)
    return str(noted.get("parent") or ""), str(noted.get("key") or "")


def noted_of(transition: models.Transition) -> dict[str, Json]:
    """Return what a mirrored transition, or that of a restore, says of its step; nothing for others."""
    try:
        metadata = json.loads(transition.metadata or "{}")
    except (ValueError, RecursionError):
        return {}
    noted = metadata.get(models.MIRROR_MARK, metadata) if isinstance(metadata, dict) else {}
    return noted if isinstance(noted, dict) else {}


def writing(thread: SourceThread, *tables: str) -> AbstractContextManager[Rows]:
    """Open the thread's store for one transaction, with these tables for itself: all of it is written, or nothing."""
    return locations.of(thread.source.path).writing(tables)


def expect_as_seen(thread: SourceThread, reader: Reader, rows: Rows) -> None:
    """Raise Moved if the thread is not as the mirror saw it last."""
    if position_of(thread, reader, rows) != thread.position:
        raise Moved("The thread went on since your preview. Nothing was written. Review the new differences.")


def expect_written(state: Json, text: str) -> None:
    """Raise DatabaseError if a state that was read back is not that of a text; only spaces may differ."""
    if state_text(state) != state_text(json_of(text)):
        raise DatabaseError("The state read back differs from the one written. Nothing was changed.")


def position_of(thread: SourceThread, reader: Reader, rows: Rows) -> str:
    """Return the position of a thread in its file, "" if it is not there."""
    return next((position for key, position in reader.positions(rows) if key == thread.thread_id), "")


def storable(text: str) -> str:
    """Return JSON in which halves of characters, which no file takes, are escaped."""
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def note_written(thread: SourceThread, last_step: str, position: str = "") -> None:
    """Note that the mirror has the step already that was written, and that the file is to be read again."""
    using = str(thread._state.db)
    thread.last_step, thread.position = last_step, position
    thread.save(using=using, update_fields=["last_step", "position"])
    Source.objects.using(using).filter(pk=thread.source_id).update(stamp="")
