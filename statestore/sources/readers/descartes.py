"""The orchestrator's own file, read without moving in: what is mirrored here is looked at, not worked in.

Tasks and events that belong to no agent are those of a thread of their own, so that nothing is left out.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Session, Shape, Snapshot, Step, Task, Thread, Value
from statestore.sources.readers.columns import id_of, json_of, object_of, seconds, text_of, whole_of

UNASSIGNED: Final = "without an agent"
_COLUMNS: Final = {
    "agent_states": {"key", "agent_id", "name", "status", "metadata", "state_data", "version", "updated_at"},
    "state_transitions": {"id", "agent_id", "state_before", "state_after", "reason", "timestamp", "metadata"},
    "state_snapshots": {"id", "agent_id", "state_data", "description", "created_at"},
    "events": {"id", "event_type", "timestamp", "session_id", "actor_type", "actor_id", "content", "metadata"},
    "sessions": {"id", "agent_id", "started_at", "ended_at", "status"},
    "tasks": {"id", "title", "description", "status", "assigned_to", "updated_at"},
}
_IS_OURS: Final = "dash_audit"
_OWNED_EVENTS: Final = (
    " FROM events WHERE session_id IN (SELECT id FROM sessions WHERE agent_id = ?)"
    " OR (actor_type = 'Agent' AND actor_id = ? AND session_id NOT IN (SELECT id FROM sessions))"
)
_LOOSE_EVENTS: Final = (
    " FROM events WHERE session_id NOT IN"
    " (SELECT id FROM sessions WHERE agent_id IN (SELECT agent_id FROM agent_states))"
    " AND NOT (actor_type = 'Agent' AND actor_id IN (SELECT agent_id FROM agent_states))"
)
_LOOSE_TASKS: Final = " FROM tasks WHERE assigned_to IS NULL OR assigned_to NOT IN (SELECT agent_id FROM agent_states)"


class DescartesReader:
    """Reads an orchestrator's file of version 4 or 5 that was not adopted."""

    name: ClassVar[str] = "Descartes agents"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the tables are the orchestrator's, and the dashboard has not moved in."""
        return _IS_OURS not in tables and all(
            columns <= set(tables.get(table, ())) for table, columns in _COLUMNS.items()
        )

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of agents, transitions and events."""
        tables = {"agents": "agent_states", "transitions": "state_transitions", "events": "events"}
        return {what: number_of(rows, f" FROM {table}") for what, table in tables.items()}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (agent, what differs once it was saved or recorded), the one that was saved last first."""
        grown: dict[Value, str] = {}
        for sql in (
            "SELECT agent_id, count(*), max(rowid) FROM state_transitions GROUP BY agent_id",
            "SELECT agent_id, count(*), max(rowid) FROM state_snapshots GROUP BY agent_id",
            "SELECT s.agent_id, count(*), max(e.rowid) FROM sessions AS s LEFT JOIN events AS e ON e.session_id = s.id"
            " GROUP BY s.agent_id",
            "SELECT agent_id, count(ended_at), max(rowid) FROM sessions GROUP BY agent_id",
            "SELECT assigned_to, count(*), max(updated_at) FROM tasks GROUP BY assigned_to",
        ):
            for agent, number, newest in rows.execute(sql):
                grown[agent] = f"{grown.get(agent, '')} {text_of(number)}:{text_of(newest)}"
        for agent, rowid, version, at in rows.execute(
            "SELECT agent_id, rowid, version, updated_at FROM agent_states ORDER BY updated_at DESC, rowid DESC"
        ):
            if (found := id_of(agent)) is not None:
                yield found, f"{text_of(rowid)} {text_of(version)} {text_of(at)}{grown.get(agent, '')}"
        tasks, events = number_of(rows, _LOOSE_TASKS), number_of(rows, _LOOSE_EVENTS)
        if tasks or events:
            newest = next(rows.execute(f"SELECT max(updated_at){_LOOSE_TASKS}"))[0]
            yield UNASSIGNED, f"{tasks} {text_of(newest)} {events}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return an agent with its transitions after one, its snapshots, sessions, events and tasks."""
        agent = next(
            rows.execute(
                "SELECT name, status, metadata, state_data, version, created_at, updated_at FROM agent_states"
                " WHERE agent_id = ?",
                [thread_id],
            ),
            None,
        )
        if agent is None:
            if thread_id != UNASSIGNED:
                raise LookupError(thread_id)
            return _unassigned(rows)
        name, status, metadata, state, version, created, updated = agent
        thread = Thread(
            thread_id, text_of(name) or thread_id, text_of(status) or "idle", json_of(state), seconds(created) or 0.0,
            seconds(updated) or 0.0, {**object_of(json_of(metadata)), "version": whole_of(version)},
        )  # fmt: skip
        return History(
            thread,
            _steps(rows, thread_id, after),
            events_of(rows, _OWNED_EVENTS, [thread_id, thread_id], thread_id),
            list(tasks_of(rows, " FROM tasks WHERE assigned_to = ?", [thread_id])),
            snapshots=list(_snapshots(rows, thread_id)),
            sessions=list(_sessions(rows, thread_id)),
        )


def _unassigned(rows: Rows) -> History:
    tasks = list(tasks_of(rows, _LOOSE_TASKS, []))
    events = list(events_of(rows, _LOOSE_EVENTS, []))
    changed = next(rows.execute(f"SELECT max(updated_at){_LOOSE_TASKS}"))[0]
    at = max([event.at for event in events], default=seconds(changed) or 0.0)
    state: Json = {"tasks": len(tasks), "events": len(events)}
    return History(Thread(UNASSIGNED, UNASSIGNED, "idle", state, at, at), (), events, tasks)


def _steps(rows: Rows, agent_id: str, after: str) -> Iterator[Step]:
    known = next(rows.execute("SELECT timestamp, rowid FROM state_transitions WHERE id = ?", [after]), (None, 0))
    for key, before, state, reason, at, metadata in rows.execute(
        "SELECT id, state_before, state_after, reason, timestamp, metadata FROM state_transitions WHERE agent_id = ?"
        " AND (? IS NULL OR (timestamp, rowid) > (?, ?)) ORDER BY timestamp, rowid",
        [agent_id, known[0], *known],
    ):
        yield Step(
            text_of(key), seconds(at) or 0.0, json_of(before), json_of(state), text_of(reason),
            object_of(json_of(metadata)),
        )  # fmt: skip


def _snapshots(rows: Rows, agent_id: str) -> Iterator[Snapshot]:
    for key, state, description, at in rows.execute(
        "SELECT id, state_data, description, created_at FROM state_snapshots WHERE agent_id = ? ORDER BY rowid",
        [agent_id],
    ):
        yield Snapshot(text_of(key), seconds(at) or 0.0, json_of(state), text_of(description))


def _sessions(rows: Rows, agent_id: str) -> Iterator[Session]:
    for key, status, started, ended in rows.execute(
        "SELECT id, status, started_at, ended_at FROM sessions WHERE agent_id = ? ORDER BY rowid", [agent_id]
    ):
        yield Session(text_of(key), text_of(status), seconds(started) or 0.0, seconds(ended))


def events_of(rows: Rows, clause: str, values: list[Value], agent_id: str = "") -> Iterator[Event]:
    """Yield the events that a clause selects; those of the agent itself say no actor."""
    names = "id, event_type, timestamp, session_id, actor_type, actor_id, content, metadata"
    for key, kind, at, session, actor_type, actor, content, metadata in rows.execute(
        f"SELECT {names}{clause} ORDER BY timestamp, rowid",
        values,
    ):
        yield Event(
            text_of(key), seconds(at) or 0.0, text_of(actor_type), text_of(kind), text_of(content),
            object_of(json_of(metadata)), session=text_of(session),
            actor_id="" if actor == agent_id else text_of(actor),
        )  # fmt: skip


def tasks_of(rows: Rows, clause: str, values: list[Value]) -> Iterator[Task]:
    """Yield the tasks that a clause selects."""
    for key, title, description, status in rows.execute(
        f"SELECT id, title, description, status{clause} ORDER BY rowid",
        values,
    ):
        yield Task(text_of(key), text_of(title), text_of(description), text_of(status))


def number_of(rows: Rows, clause: str) -> int:
    """Return the number of rows that a clause selects."""
    return whole_of(next(rows.execute(f"SELECT count(*){clause}"))[0])
