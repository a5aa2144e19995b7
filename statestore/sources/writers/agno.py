"""Putting an Agno session back: its state is that of the moment again, and the runs after it are removed.

The runs are what the model is shown of the conversation. They are kept with the restore, and an undo puts them back.
Where a session has runs both in rows and in its list, Agno shows a run that is in either: it is removed from both.
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
from statestore.jsondiff.parsing import NotJson, dump, parse
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import locations
from statestore.sources.contract import Rows, Value
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.readers.agno_runs import Run, Store, list_of_runs, listed_in, runs_of, store_of
from statestore.sources.readers.columns import is_opaque, json_of, object_of, quoted, text_of, whole_of
from statestore.sources.writers import removals, steps
from statestore.sources.writers.removals import START, Removed

_READER: Final = AgnoReader()
_BY: Final = "run_id"


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be done: the step after which the session stands then, the runs to go, and those to come back."""

    store: Store
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
        if number := len(change.runs):
            said.append(
                f"{_runs(number)} after this moment {'is' if number == 1 else 'are'} removed. An undo puts"
                f" {'it' if number == 1 else 'them'} back, while the session has not gone on."
            )
        elif change.coming:
            said.append(f"{_runs(len(_keys(change.coming)))} that a restore had removed come back.")
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
            store = store_of(rows, self._thread.thread_id)
            if store is None:
                raise removals.gone("run")
            keys = [step.key for step in _READER.read(rows, self._thread.thread_id).steps]
            # With only a part of a moment's state the session stays at the run where it stands.
            meant = removals.meant_by(self._thread, target, text, keys) if text == target.text else removals.Meant("")
            logged = runs_of(rows, store, _session(self._thread, store))
            last = keys[-1] if keys else START
            end = logged[-1].key if logged else ""
            if meant.removed and (meant.key not in keys or meant.removed.anchor == end):
                removals.check_end(meant.removed, end, "runs")
                return _Change(store, meant.key, _nothing(store, end, last), (), meant.removed)
            if meant.key not in ("", START, *keys):
                raise removals.gone("run")
            if not meant.key:
                return _Change(store, last, _nothing(store, end, last), (), None)
            staying, runs = _cut(logged, meant.key)
            listed = _listed(rows, store, _session(self._thread, store), runs)
            going = removals.kept(rows, store.runs, _BY, runs, anchor=staying, last=last, listed=listed)
            return _Change(store, meant.key, going, runs, None)


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
        store, coming = self.change.store, self.change.coming
        with steps.writing(self.thread, *store.tables) as rows:
            steps.expect_as_seen(self.thread, _READER, rows)
            if store.runs:
                removals.delete(rows, store.runs, _BY, self.change.runs)
            if coming:
                coming.put_back(rows)
            if self.change.going.listed or (coming and coming.listed):
                self._set_list(rows, coming.listed if coming else ())
            self._set_state(rows)
            steps.expect_written(_READER.read(rows, self.thread.thread_id).thread.state, self.text)
            position = steps.position_of(self.thread, _READER, rows)
        steps.note_written(self.thread, self.change.key, position)

    def _set_list(self, rows: Rows, coming: Sequence[tuple[int, str]]) -> None:
        """Take the runs out of the list in the session's row, or put them back in their places."""
        store, session = self.change.store, _session(self.thread, self.change.store)
        runs = [item for key, item in listed_in(rows, store, session) if key not in self.change.runs]
        for place, item in coming:
            runs.insert(place, parse(item))
        # Agno's version 2 cannot load an empty list.
        text = _as_stored(list_of_runs(rows, store, session), dump(runs, indent=None)) if runs else None
        sql = f"UPDATE {quoted(store.sessions)} SET runs = ? WHERE session_id = ?"  # noqa: S608  a quoted name
        rows.execute(sql, [text, session])

    def _set_state(self, rows: Rows) -> None:
        table, session = quoted(self.change.store.sessions), _session(self.thread, self.change.store)
        sql = f"SELECT session_data, updated_at FROM {table} WHERE session_id = ?"  # noqa: S608  a quoted name
        for stored, updated_at in rows.execute(sql, [session]):
            # A clock that was set back must not make it older.
            now = max(int(time.time()), whole_of(updated_at))
            data = _as_stored(stored, _with_state(_inner(stored), steps.storable(self.text)))
            sql = f"UPDATE {table} SET session_data = ?, updated_at = ? WHERE session_id = ?"  # noqa: S608
            rows.execute(sql, [data, now, session])


def _inner(stored: Value) -> str:
    """Return the JSON that a column holds, which may be a text of JSON that is a text of JSON."""
    found = json_of(stored)
    return text_of(found if isinstance(found, str) else stored)


def _as_stored(stored: Value, text: str) -> str:
    """Return JSON as the column holds it."""
    return json.dumps(text) if isinstance(json_of(stored), str) else text


def _with_state(data: str, state: str) -> str:
    """Return a session's data with another state; all else is as it was, byte for byte, if it had one."""
    try:
        return source_edit.replace_value(data, "/session_state", state)
    except (KeyError, NotJson):
        return json.dumps({**object_of(json_of(data)), "session_state": json.loads(state)})


def _session(thread: SourceThread, store: Store) -> str:
    return str(thread.thread_id).removeprefix(store.prefix)


def _listed(rows: Rows, store: Store, session: str, runs: Sequence[str]) -> list[tuple[int, str]]:
    """Return those of some runs that the list in the session's row has, each with its place. Raises Conflict."""
    items = listed_in(rows, store, session)
    if any(is_opaque(item) for _, item in items):
        raise Conflict("The session's list of runs cannot be read. Nothing was written.")
    return [(place, dump(item, indent=None)) for place, (key, item) in enumerate(items) if key in runs]


def _keys(removed: Removed) -> set[str]:
    """Return the keys of the runs that a restore took out of rows, of a list, or of both."""
    in_rows = {text_of(row[removed.columns.index(_BY)]) for row in removed.rows}
    return in_rows | {text_of(object_of(parse(item)).get(_BY)) or str(place) for place, item in removed.listed}


def _cut(logged: Sequence[Run], key: str) -> tuple[str, list[str]]:
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


def _nothing(store: Store, anchor: str, last: str) -> Removed:
    return Removed(store.runs, (), (), anchor, last)


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
