"""Putting CrewAI's flows and crews back: what was saved is saved once more, as the newest, and nothing is removed.

A flow's states are plain JSON, so any object can be written: a whole state, a part of one, or one with corrections. Of
a crew only whole checkpoints are copied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from statestore.access.audit import Actor
from statestore.errors import Conflict
from statestore.history import KnownState
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import files
from statestore.sources.contract import Rows
from statestore.sources.readers import crewai
from statestore.sources.readers.columns import is_opaque, json_of, text_of
from statestore.sources.state_texts import state_text
from statestore.sources.writers import steps

# What stands as the method that saved the state; CrewAI itself does not read it.
_METHOD: Final = "restored"
_FLOWS: Final = crewai.CrewAIFlowReader()
_CREWS: Final = crewai.CrewAICheckpointsReader()


class CrewAIFlowWriter:
    """Writes one flow's states in the file of its SQLiteFlowPersistence."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._path = Path(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        with files.opened(self._path) as rows:
            _saved(rows, self._thread, target, text)
            waits = _FLOWS.read(rows, self._thread.thread_id, self._thread.last_step).thread.status == "paused"
        said = [
            f"The state is saved once more in {self._path.name}, as the flow's newest. No saved state is removed.",
            "The flow has it once it is kicked off with its id; a flow that runs now keeps its own.",
        ]
        if waits:
            said.append("The flow waits for feedback. Once it is given, the flow goes on with the state it asked with.")
        said.append("What the flow's methods did elsewhere is not turned back.")
        return said

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write of the wanted state as the newest one."""
        with files.opened(self._path) as rows:
            key, stored = _saved(rows, self._thread, target, text)
        return _Save(self._thread, text, key, stored)


@dataclass(frozen=True, slots=True)
class _Save:
    """The write: one more row, if the flow's newest is still the one that was seen."""

    thread: SourceThread
    text: str
    key: str
    stored: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the saved state it is a copy of, and the one over which it was."""
        return {"parent": self.thread.last_step, "restored_from": self.key}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread) as rows:
            steps.expect_as_seen(self.thread, _FLOWS, rows)
            made = self._insert(rows)
            steps.expect_written(_FLOWS.read(rows, self.thread.thread_id, made).thread.state, self.text)
            position = steps.position_of(self.thread, _FLOWS, rows)
        steps.note_written(self.thread, made, position)

    def _insert(self, rows: Rows) -> str:
        made = rows.execute(
            "INSERT INTO flow_states (flow_uuid, method_name, timestamp, state_json) VALUES (?, ?, ?, ?) RETURNING id",
            [self.thread.thread_id, _METHOD, datetime.now(UTC).isoformat(), self.stored],
        )
        return text_of(next(made)[0])


def _saved(rows: Rows, thread: SourceThread, target: KnownState, text: str) -> tuple[str, str]:
    """Return the key of the saved state with the wanted one, "" if it was never saved, and what to store.

    What was saved before is stored as it stood there, also where we cannot read it. Raises Conflict for what a flow
    could not take.
    """
    for key, stored in _candidates(rows, thread, steps.meant_by(thread, target, text)):
        if state_text(json_of(stored)) == text:
            return key, stored
    state = json_of(text)
    if not isinstance(state, dict) or is_opaque(state):
        raise Conflict("A flow's state is a JSON object. Nothing was written. Choose another step of the timeline.")
    if state.get("id") != thread.thread_id:
        raise Conflict(
            f"A flow finds its state by the id in it, which must stay {thread.thread_id}. Nothing was written."
            " Choose a step of the timeline, or keep “id” as it is."
        )
    return "", steps.storable(text)


def _candidates(rows: Rows, thread: SourceThread, keys: Iterable[str]) -> Iterable[tuple[str, str]]:
    for key in keys:
        sql = "SELECT state_json FROM flow_states WHERE flow_uuid = ? AND id = ?"
        for (stored,) in rows.execute(sql, [thread.thread_id, key]):
            if isinstance(stored, str):
                yield key, stored


class CrewAICheckpointsWriter:
    """Writes one crew's checkpoints in the file of its SqliteProvider."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._path = Path(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        key = self._find(target, text)
        return [
            f"A copy of {key} becomes the crew's newest checkpoint in {self._path.name}. No checkpoint is removed.",
            "Tasks that had no output then run again once the crew is resumed from it; a crew that runs now goes on.",
            "What agents and tools did elsewhere is not turned back.",
        ]

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write of a copy of the checkpoint that holds the wanted state."""
        new_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}_{uuid4().hex[:8]}"
        return _Copy(self._thread, text, self._find(target, text), new_id)

    def _find(self, target: KnownState, text: str) -> str:
        with files.opened(self._path) as rows:
            states = {step.key: step.after for step in _CREWS.read(rows, self._thread.thread_id).steps}
        for key in steps.meant_by(self._thread, target, text):
            if key in states and state_text(states[key]) == text:
                return key
        raise Conflict(
            "No checkpoint in the file has just this state: only whole moments of a crew can be put back. Nothing was"
            " written. Choose a step of the timeline."
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    """The write: a copy of a checkpoint, which is its parent, if the crew's newest is still the one that was seen."""

    thread: SourceThread
    text: str
    key: str
    new_id: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the checkpoint that was made, and the one over which it was."""
        return {"key": self.new_id, "parent": self.thread.last_step, "restored_from": self.key}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread) as rows:
            steps.expect_as_seen(self.thread, _CREWS, rows)
            rows.execute(
                "INSERT INTO checkpoints (id, created_at, parent_id, branch, data)"
                " SELECT ?, ?, id, branch, data FROM checkpoints WHERE id = ? ORDER BY rowid DESC LIMIT 1",
                [self.new_id, self.new_id.partition("_")[0], self.key],
            )
            steps.expect_written(_CREWS.read(rows, self.thread.thread_id).thread.state, self.text)
            position = steps.position_of(self.thread, _CREWS, rows)
        steps.note_written(self.thread, self.new_id, position)
