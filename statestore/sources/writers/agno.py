"""Putting an Agno session back: its state is that of the moment again, and the runs after it are removed.

The runs are what the model is shown of the conversation. They are kept with the restore, and an undo puts them back.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from statestore.access.audit import Actor
from statestore.errors import Conflict
from statestore.history import KnownState
from statestore.jsondiff import source_edit
from statestore.jsondiff.parsing import NotJson
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import locations
from statestore.sources.contract import Rows
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.readers.columns import is_opaque, json_of, object_of, text_of, whole_of
from statestore.sources.writers import removals, steps
from statestore.sources.writers.removals import START, Removed

_READER: Final = AgnoReader()
_TABLE: Final = "agno_runs"


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be done: the step after which the session stands then, the runs to go, and those to come back."""

    key: str
    going: Removed
    runs: Sequence[str]
    coming: Removed | None


class AgnoWriter:
    """Writes one session of a SqliteDb or a PostgresDb."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._location = locations.of(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        change = self._change(target, text)
        said = [f"The session's state in {self._location.name} is set."]
        if number := len(change.going.rows):
            said.append(
                f"{_runs(number)} after this moment {'is' if number == 1 else 'are'} removed. An undo puts"
                f" {'it' if number == 1 else 'them'} back, while the session has not gone on."
            )
        elif change.coming:
            said.append(f"{_runs(len(change.coming.rows))} that a restore had removed come back.")
        else:
            said.append("No run is removed: the model sees the whole conversation.")
        said.append("What tools did elsewhere, memories and summaries are not turned back.")
        return said

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write that sets the session's state and its runs."""
        return _Write(self._thread, text, self._change(target, text))

    def _change(self, target: KnownState, text: str) -> _Change:
        state = json_of(text)
        if is_opaque(state) or not (isinstance(state, dict) or text == target.text):
            raise Conflict(
                "A session's state is a JSON object that can be read. Nothing was written. Choose another moment."
            )
        with self._location.opened() as rows:
            keys = [step.key for step in _READER.read(rows, self._thread.thread_id).steps]
            # With only a part of a moment's state the session stays at the run where it stands.
            meant = removals.meant_by(self._thread, target, text, keys) if text == target.text else removals.Meant("")
            logged = _logged(rows, self._thread.thread_id)
            last = keys[-1] if keys else START
            end = logged[-1].key if logged else ""
            if meant.removed and (meant.key not in keys or meant.removed.anchor == end):
                removals.check_end(meant.removed, end, "runs")
                return _Change(meant.key, _nothing(end, last), (), meant.removed)
            if meant.key not in ("", START, *keys):
                raise removals.gone("run")
            if not meant.key:
                return _Change(last, _nothing(end, last), (), None)
            staying, runs = _cut(logged, meant.key)
            going = removals.kept(rows, _TABLE, "run_id", runs, anchor=staying, last=last)
            return _Change(meant.key, going, runs, None)


@dataclass(frozen=True, slots=True)
class _Write:
    """The write: the state and the runs, if the session is still as it was seen."""

    thread: SourceThread
    text: str
    change: _Change

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the step where the session stands, the former one, and what was removed."""
        return {"key": self.change.key, "parent": self.change.going.last, **removals.noted(self.change.going)}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread, "agno_sessions", _TABLE) as rows:
            steps.expect_as_seen(self.thread, _READER, rows)
            removals.delete(rows, _TABLE, "run_id", self.change.runs)
            if self.change.coming:
                self.change.coming.put_back(rows)
            self._set_state(rows)
            steps.expect_written(_READER.read(rows, self.thread.thread_id).thread.state, self.text)
            position = steps.position_of(self.thread, _READER, rows)
        steps.note_written(self.thread, self.change.key, position)

    def _set_state(self, rows: Rows) -> None:
        session = self.thread.thread_id
        sql = "SELECT session_data, updated_at FROM agno_sessions WHERE session_id = ?"
        for stored, updated_at in rows.execute(sql, [session]):
            # A clock that was set back must not make it older.
            now = max(int(time.time()), whole_of(updated_at))
            data = _with_state(text_of(stored), steps.storable(self.text))
            rows.execute(
                "UPDATE agno_sessions SET session_data = ?, updated_at = ? WHERE session_id = ?", [data, now, session]
            )


def _with_state(data: str, state: str) -> str:
    """Return a session's data with another state; all else is as it was, byte for byte, if it had one."""
    try:
        return source_edit.replace_value(data, "/session_state", state)
    except (KeyError, NotJson):
        return json.dumps({**object_of(json_of(data)), "session_state": json.loads(state)})


@dataclass(frozen=True, slots=True)
class _Logged:
    """A run in its place; one with a parent belongs to that run."""

    key: str
    parent: str


def _logged(rows: Rows, session: str) -> list[_Logged]:
    sql = (
        "SELECT run_id, parent_run_id FROM agno_runs WHERE session_id = ?"  # noqa: S608
        f" ORDER BY run_index IS NULL, run_index, created_at, {rows.order}"
    )
    found = rows.execute(sql, [session])
    return [_Logged(text_of(key), text_of(parent)) for key, parent in found]


def _cut(logged: Sequence[_Logged], key: str) -> tuple[str, list[str]]:
    """Return the last run that stays if all after one go, and the keys of those: not of what belongs to it."""
    place = 0 if key == START else next(place for place, run in enumerate(logged, 1) if run.key == key)
    staying, going = {run.key for run in logged[:place]}, []
    last = logged[place - 1].key if place else ""
    for run in logged[place:]:
        if run.parent in staying:
            staying.add(run.key)
            last = run.key
        else:
            going.append(run.key)
    return last, going


def _nothing(anchor: str, last: str) -> Removed:
    return Removed(_TABLE, (), (), anchor, last)


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
