"""The agent history that an orchestrator may keep in tables of its own: events, and snapshots of agents' states.

Each snapshot that holds a state is a step from the one before it; one that holds none is an event.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Session, Shape, Step, Thread, Value
from statestore.sources.readers.columns import id_of, json_of, seconds, text_of, whole_of
from statestore.sources.readers.messages import AGENT, SYSTEM, as_text

_COLUMNS: Final = {
    "agent_history_events": {
        "event_id", "agent_id", "timestamp", "event_type", "event_data", "git_commit_hash", "session_id",
        "parent_event_id", "tags", "metadata",
    },
    "history_snapshots": {"snapshot_id", "agent_id", "timestamp", "git_commit", "description", "agent_state"},
}  # fmt: skip
_STATES: Final = "FROM history_snapshots WHERE agent_id = ? AND agent_state IS NOT NULL"


class DescartesHistoryReader:
    """Reads the history of the orchestrator's agents, in its store's file or in one of its own."""

    name: ClassVar[str] = "Descartes agent history"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether both tables have the history's columns."""
        return all(columns <= set(tables.get(table, ())) for table, columns in _COLUMNS.items())

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of events and snapshots."""
        tables = {"history events": "agent_history_events", "history snapshots": "history_snapshots"}
        return {
            what: whole_of(next(rows.execute(f"SELECT count(*) FROM {table}"))[0])  # noqa: S608  one of ours
            for what, table in tables.items()
        }

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (agent, the number and the newest of its events and snapshots), the one that changed last first."""
        grown: dict[str, list[str]] = {}
        changed: dict[str, float] = {}
        for table in _COLUMNS:
            for agent, number, newest, at in rows.execute(
                f"SELECT agent_id, count(*), max(rowid), max(timestamp) FROM {table} GROUP BY agent_id"  # noqa: S608
            ):
                if (found := id_of(agent)) is not None:
                    grown.setdefault(found, []).append(f"{table} {text_of(number)}:{text_of(newest)}")
                    changed[found] = max(changed.get(found, 0.0), seconds(at) or 0.0)
        for found in sorted(grown, key=lambda agent: (changed[agent], agent), reverse=True):
            yield found, " ".join(grown[found])

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return an agent with its states after a snapshot, and all its events."""
        events = [*_events(rows, thread_id), *_without_state(rows, thread_id)]
        sql = f"SELECT timestamp, agent_state {_STATES} ORDER BY timestamp DESC, rowid DESC LIMIT 1"
        newest, state = next(rows.execute(sql, [thread_id]), (None, None))
        if newest is None and state is None and not events:
            raise LookupError(thread_id)
        times = [event.at for event in events] + ([seconds(newest) or 0.0] if newest is not None else [])
        began = min([*times, *(step.at for step in _steps(rows, thread_id, "", 1))], default=0.0)
        marks = {
            text_of(key): text_of(words) or "snapshot"
            for key, words in rows.execute(f"SELECT snapshot_id, description {_STATES}", [thread_id])
        }
        return History(
            Thread(thread_id, thread_id, "idle", {} if state is None else json_of(state), began, max(times, default=0)),
            _steps(rows, thread_id, after),
            events,
            marks=marks,
            sessions=list(_sessions(rows, thread_id)),
        )


def _steps(rows: Rows, agent_id: str, after: str, most: int = -1) -> Iterator[Step]:
    before, known = _state_of(rows, agent_id, after)
    for key, at, state, words, commit in rows.execute(
        f"SELECT snapshot_id, timestamp, agent_state, description, git_commit {_STATES}"
        " AND (? IS NULL OR (timestamp, rowid) > (?, ?)) ORDER BY timestamp, rowid LIMIT ?",
        [agent_id, known[0], *known, most],
    ):
        noted: dict[str, Json] = {"git_commit": text_of(commit)} if commit is not None else {}
        later = json_of(state)
        yield Step(text_of(key), seconds(at) or 0.0, before, later, text_of(words) or "snapshot", noted)
        before = later


def _state_of(rows: Rows, agent_id: str, key: str) -> tuple[Json, tuple[Value, Value]]:
    """Return the state of a snapshot, and its place; an empty one before the first."""
    sql = f"SELECT agent_state, timestamp, rowid {_STATES} AND snapshot_id = ?"
    for state, at, rowid in rows.execute(sql, [agent_id, key]):
        return json_of(state), (at, rowid)
    return {}, (None, 0)


def _events(rows: Rows, agent_id: str) -> Iterator[Event]:
    names = "event_id, timestamp, event_type, event_data, git_commit_hash, session_id, parent_event_id, tags, metadata"
    for key, at, kind, data, commit, session, parent, tags, metadata in rows.execute(
        f"SELECT {names} FROM agent_history_events WHERE agent_id = ? ORDER BY timestamp, rowid",  # noqa: S608
        [agent_id],
    ):
        beside: dict[str, Json] = {
            "git_commit": json_of(commit) if isinstance(commit, bytes) else commit,
            "parent_event_id": text_of(parent) or None, "tags": json_of(tags) or None, "metadata": json_of(metadata),
        }  # fmt: skip
        noted = {name: value for name, value in beside.items() if value is not None}
        content = data if isinstance(data, str) else as_text(json_of(data))
        yield Event(text_of(key), seconds(at) or 0.0, AGENT, text_of(kind), content, noted, session=text_of(session))


def _without_state(rows: Rows, agent_id: str) -> Iterator[Event]:
    for key, at, words, commit in rows.execute(
        "SELECT snapshot_id, timestamp, description, git_commit FROM history_snapshots"
        " WHERE agent_id = ? AND agent_state IS NULL ORDER BY timestamp, rowid",
        [agent_id],
    ):
        noted: dict[str, Json] = {"git_commit": text_of(commit)} if commit is not None else {}
        yield Event(f"snapshot {text_of(key)}", seconds(at) or 0.0, SYSTEM, "snapshot", text_of(words), noted)


def _sessions(rows: Rows, agent_id: str) -> Iterator[Session]:
    for key, first, last in rows.execute(
        "SELECT session_id, min(timestamp), max(timestamp) FROM agent_history_events"
        " WHERE agent_id = ? AND session_id <> '' GROUP BY session_id",
        [agent_id],
    ):
        yield Session(text_of(key), "completed", seconds(first) or 0.0, seconds(last))
