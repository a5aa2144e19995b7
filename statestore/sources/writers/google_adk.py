"""Putting an ADK session back: one event that rewinds it, as ADK's own, and the session's state with it.

Nothing is removed: ADK no longer shows the model what was rewound. Unlike ADK's own rewind this one keeps what the
session was made with. A rewind is undone by another one, to before the first.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from statestore.access.audit import Actor
from statestore.errors import Conflict
from statestore.history import KnownState
from statestore.history.moments import AtSnapshot
from statestore.jsondiff.parsing import Json
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import locations
from statestore.sources.contract import Rows, Value
from statestore.sources.readers import google_adk
from statestore.sources.readers.columns import is_opaque, json_of, object_of, seconds
from statestore.sources.readers.google_adk import Entry
from statestore.sources.state_texts import state_text
from statestore.sources.writers import forks, removals, steps
from statestore.sources.writers.removals import START, Meant

_READER: Final = google_adk.GoogleADKReader()
# The smallest step of the times in a DatabaseSessionService's file.
_TICK: Final = 0.000001
# Of the columns of a DatabaseSessionService.
_LONGEST_ID: Final = 128


@dataclass(frozen=True, slots=True)
class _Change:
    """What the event says: the invocation before which it rewinds, "" for none, and what becomes of the state."""

    rewinds: str
    events: int
    delta: Mapping[str, Json]
    removed: Sequence[str]


class GoogleADKWriter:
    """Writes one session in the file of a SqliteSessionService, or of a DatabaseSessionService with JSON events."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._location = locations.of(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        change = self._change(target, text)
        said = [f"The session's state in {self._location.name} is set, and one event is added. No event is removed."]
        if change.events:
            events = "The last event is" if change.events == 1 else f"The last {change.events} events are"
            said.append(f"{events} rewound: the model no longer sees what was said there.")
        else:
            said.append("No event is rewound: the model sees the whole conversation.")
        said.append("A program that holds the session has to load it again; ADK refuses its next event until then.")
        said.append("The app's and the user's state, artifacts, and what tools did elsewhere are not turned back.")
        return said

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write that sets the session's state and rewinds it."""
        return _Rewind(self._thread, text, self._change(target, text), str(uuid4()), by.name)

    def fork_effects(self, target: KnownState) -> Sequence[str]:
        """Return what a fork does in the file, and what it leaves."""
        with self._location.opened() as rows:
            copied = self._kept(rows, target)
        events = "1 event is" if len(copied) == 1 else f"{len(copied)} events are"
        return [
            f"A new session of the same user is made in {self._location.name}: {events} copied, and the state is set.",
            "This session stays as it is. The app's and the user's state, and artifacts, are shared or not copied.",
        ]

    def fork_id(self, new_id: str) -> str:
        """Return the id in the mirror of a new session of the same user."""
        app, user, _ = self._session()
        return google_adk.thread_id_of(app, user, new_id)

    def fork(self, target: KnownState, new_id: str, by: Actor) -> None:
        """Copy the events up to a moment to a new session of the same user."""
        forks.check_length(new_id, _LONGEST_ID)
        app, user, session = self._session()
        place = {"app_name": app, "user_id": user}
        with steps.writing(self._thread, "sessions", "events") as rows:
            # A program may go on with the session meanwhile: what it says comes after the moment.
            copied = self._kept(rows, target)
            forks.check_free(rows, "sessions", {**place, "id": new_id}, "session")
            forks.copy_rows(rows, "sessions", place, "id", [session], {"id": new_id})
            rows.execute(
                "UPDATE sessions SET state = ? WHERE app_name = ? AND user_id = ? AND id = ?",
                [steps.storable(target.text), app, user, new_id],
            )
            where = {**place, "session_id": session}
            forks.copy_rows(rows, "events", where, "id", [entry.key for entry in copied], {"session_id": new_id})
            wanted = state_text(google_adk.by_name(json_of(target.text)))
            steps.expect_written(_READER.read(rows, self.fork_id(new_id)).thread.state, wanted)

    def _kept(self, rows: Rows, target: KnownState) -> Sequence[Entry]:
        """Return the events that a fork from a moment keeps: those that a restore would not rewind."""
        change = self._change_in(rows, target, target.text)
        entries = list(google_adk.entries_of(rows, google_adk.parts_of(self._thread.thread_id), 0.0))
        return entries[: len(entries) - change.events]

    def _session(self) -> Sequence[str]:
        """Return (app, user, session). Raises Conflict for the state of an app or a user."""
        parts = google_adk.parts_of(self._thread.thread_id)
        if len(parts) != 3:
            raise Conflict(
                "The states of apps and users are read here, but not restored: their sessions go on with what is in"
                " them now. Nothing was written. Restore a session, or download the state."
            )
        return parts

    def _change(self, target: KnownState, text: str) -> _Change:
        with self._location.opened() as rows:
            return self._change_in(rows, target, text)

    def _change_in(self, rows: Rows, target: KnownState, text: str) -> _Change:
        parts, state = self._session(), _checked(text)
        if "event_data" not in rows.tables().get("events", {}):
            raise Conflict(
                "This file was made by an older ADK, in a form in which no restore was tried. Nothing was written."
                " Let ADK migrate it first, or fork the agent."
            )
        entries = list(google_adk.entries_of(rows, parts, 0.0))
        history = _READER.read(rows, self._thread.thread_id)
        states = [object_of(history.thread.state), *(object_of(step.after) for step in list(history.steps)[-1:])]
        keys = [entry.key for entry in entries]
        meant = removals.meant_by(self._thread, target, text, keys) if text == target.text else Meant("")
        place = _place(entries, keys, meant, is_undo=isinstance(target.moment, AtSnapshot))
        rewinds = entries[place].invocation if place < len(entries) else ""
        return _Change(rewinds, len(entries) - place, _delta(state, states), _removed(state, states))


@dataclass(frozen=True, slots=True)
class _Rewind:
    """The write: the event and the state, if the session is still as it was seen."""

    thread: SourceThread
    text: str
    change: _Change
    new_id: str
    by: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the event that was made, and the step over which it was."""
        return {"key": self.new_id, "parent": self.thread.last_step}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread, "sessions", "events") as rows:
            steps.expect_as_seen(self.thread, _READER, rows)
            self._write(rows)
            wanted = state_text(google_adk.by_name(json_of(self.text)))
            steps.expect_written(_READER.read(rows, self.thread.thread_id).thread.state, wanted)
            position = steps.position_of(self.thread, _READER, rows)
        steps.note_written(self.thread, self.new_id, position)

    def _write(self, rows: Rows) -> None:
        parts = google_adk.parts_of(self.thread.thread_id)
        at, is_text = _time_after(rows, parts)
        invocation = f"e-{uuid4()}"
        column: Value = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if is_text else at
        event = steps.storable(state_text(self._event(invocation, at)))
        rows.execute(
            "INSERT INTO events (id, app_name, user_id, session_id, invocation_id, timestamp, event_data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [self.new_id, *parts, invocation, column, event],
        )
        rows.execute(
            "UPDATE sessions SET state = ?, update_time = ? WHERE app_name = ? AND user_id = ? AND id = ?",
            [steps.storable(self.text), column, *parts],
        )

    def _event(self, invocation: str, at: float) -> Json:
        # What is not said has ADK's own defaults, whichever its version.
        delta: dict[str, Json] = {**self.change.delta, **dict.fromkeys(self.change.removed)}
        actions: dict[str, Json] = {"state_delta": delta}
        if self.change.rewinds:
            actions["rewind_before_invocation_id"] = self.change.rewinds
        noted: dict[str, Json] = {google_adk.REMOVED: [*self.change.removed], "restored_by": self.by}
        return {
            "invocation_id": invocation,
            "author": "user",
            "actions": actions,
            "custom_metadata": noted,
            "id": self.new_id,
            "timestamp": at,
        }


def _checked(text: str) -> dict[str, Json]:
    """Return the state that a text is. Raises Conflict for what a session could not take."""
    state = json_of(text)
    if not isinstance(state, dict) or is_opaque(state):
        raise Conflict("A session's state is a JSON object. Nothing was written. Choose another moment.")
    if foreign := [name for name in state if name.startswith(google_adk.NOT_THE_SESSIONS)]:
        raise Conflict(f"“{foreign[0][:80]}” is not kept in the session's state. Nothing was written. Leave it out.")
    return state


# Where to rewind to


def _place(entries: Sequence[Entry], keys: Sequence[str], meant: Meant, *, is_undo: bool) -> int:
    """Return the place of the first event to rewind: one that begins an invocation, or the end.

    Raises Conflict for a moment in the middle of an invocation: ADK rewinds only whole ones.
    """
    begins: dict[str, int] = {}
    for place, entry in enumerate(entries):
        begins.setdefault(entry.invocation, place)
    if meant.before in keys:
        place = begins[entries[keys.index(meant.before)].invocation]
        if is_undo or not any(map(_is_step, entries[place : keys.index(meant.before)])):
            return place
        raise _within(entries[place])
    if not meant.key:
        return len(entries)
    if meant.key not in (START, *keys):
        raise removals.gone("event")
    after = 0 if meant.key == START else keys.index(meant.key) + 1
    for place in range(after, len(entries)):
        if entries[place].invocation and begins[entries[place].invocation] == place:
            return place
        if _is_step(entries[place]):
            raise _within(entries[place])
    return len(entries)


def _is_step(entry: Entry) -> bool:
    return bool(entry.delta or entry.rewinds)


def _within(entry: Entry) -> Conflict:
    return Conflict(
        f"This moment is in the middle of the invocation {entry.invocation}, and ADK rewinds only whole ones. Nothing"
        " was written. Choose the step before the invocation or its last one, or restore the changed fields alone."
    )


# What becomes of the state


def _delta(wanted: Mapping[str, Json], states: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return what differs from the present state, or from what the events make of it.

    The rest is left out, so that what the session was made with stays known to be just that.
    """
    texts = {name: state_text(value) for name, value in wanted.items()}
    return {
        name: value
        for name, value in wanted.items()
        if any(name not in state or state_text(state[name]) != texts[name] for state in states)
    }


def _removed(wanted: Mapping[str, Json], states: Sequence[Mapping[str, Json]]) -> list[str]:
    return [name for name in dict.fromkeys(name for state in states for name in state) if name not in wanted]


def _time_after(rows: Rows, parts: Sequence[str]) -> tuple[float, bool]:
    """Return a time of now that comes after all of a session's, whatever the clocks say, and whether it is a text."""
    found: list[Value] = []
    for (value,) in rows.execute(
        "SELECT update_time FROM sessions WHERE app_name = ? AND user_id = ? AND id = ?"
        " UNION ALL SELECT max(timestamp) FROM events WHERE app_name = ? AND user_id = ? AND session_id = ?",
        [*parts, *parts],
    ):
        found.append(value)
    newest = max((seconds(value) or 0.0 for value in found), default=0.0)
    # Rounded up to what both kinds of file hold.
    at = max(time.time(), math.ceil(newest / _TICK) * _TICK + _TICK)
    return at, any(isinstance(value, str) for value in found)
