"""The file that `descartes init` makes: agents as `descartes ps` lists them, with events and tasks, and no states.

What is known of an agent is its row. Tasks and events that belong to no agent are those of a thread of their own.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Thread, Value
from statestore.sources.readers import descartes
from statestore.sources.readers.columns import id_of, json_of, seconds, text_of
from statestore.sources.readers.descartes import UNASSIGNED

_COLUMNS: Final = {
    "agents": {"id", "name", "status", "model_backend", "started_at", "completed_at", "task"},
    "events": {"id", "event_type", "timestamp", "session_id", "actor_type", "actor_id", "content", "metadata"},
    "tasks": {"id", "title", "description", "status", "assigned_to", "updated_at"},
}
# The orchestrator's words, by what `descartes ps` says.
_STATUSES: Final = {"running": "running", "paused": "paused", "completed": "completed", "failed": "failed"}
_OWNED: Final = " FROM events WHERE actor_type = 'Agent' AND actor_id = ?"
_LOOSE_EVENTS: Final = " FROM events WHERE NOT (actor_type = 'Agent' AND actor_id IN (SELECT id FROM agents))"
_LOOSE_TASKS: Final = " FROM tasks WHERE assigned_to IS NULL OR assigned_to NOT IN (SELECT id FROM agents)"


class DescartesInitReader:
    """Reads a file of `descartes init` in which no orchestrator has made its own tables yet."""

    name: ClassVar[str] = "Descartes agents, of init"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the tables are those of `init`, and the agents' states are nowhere."""
        return not {"dash_audit", "agent_states"} & tables.keys() and all(
            columns <= set(tables.get(table, ())) for table, columns in _COLUMNS.items()
        )

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of agents, events and tasks."""
        return {table: descartes.number_of(rows, f" FROM {table}") for table in _COLUMNS}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (agent, what differs once its row, its events or its tasks do), the one that was started last first."""
        grown: dict[Value, str] = {}
        for sql in (
            "SELECT actor_id, count(*), max(rowid) FROM events WHERE actor_type = 'Agent' GROUP BY actor_id",
            "SELECT assigned_to, count(*), max(updated_at) FROM tasks GROUP BY assigned_to",
        ):
            for agent, number, newest in rows.execute(sql):
                grown[agent] = f"{grown.get(agent, '')} {text_of(number)}:{text_of(newest)}"
        for agent, status, started, completed in rows.execute(
            "SELECT id, status, started_at, completed_at FROM agents ORDER BY started_at DESC, rowid DESC"
        ):
            if (found := id_of(agent)) is not None:
                yield found, f"{text_of(status)} {text_of(started)} {text_of(completed)}{grown.get(agent, '')}"
        tasks, events = descartes.number_of(rows, _LOOSE_TASKS), descartes.number_of(rows, _LOOSE_EVENTS)
        if tasks or events:
            newest = next(rows.execute(f"SELECT max(updated_at){_LOOSE_TASKS}"))[0]
            yield UNASSIGNED, f"{tasks} {text_of(newest)} {events}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return an agent as its row is now, with its events and tasks. There are no steps: no state is kept."""
        sql = "SELECT name, status, model_backend, task, started_at, completed_at FROM agents WHERE id = ?"
        found = next(rows.execute(sql, [thread_id]), None)
        if found is None:
            if thread_id != UNASSIGNED:
                raise LookupError(thread_id)
            return _unassigned(rows)
        name, status, backend, task, started, completed = found
        events = list(_events(rows, _OWNED, [thread_id], thread_id))
        began = seconds(started) or 0.0
        state: Json = {
            "status": text_of(status), "model_backend": text_of(backend), "task": text_of(task),
            "started_at": json_of(started), "completed_at": json_of(completed),
        }  # fmt: skip
        changed = max([began, seconds(completed) or 0.0, *(event.at for event in events)])
        thread = Thread(
            thread_id, text_of(name) or thread_id, _STATUSES.get(text_of(status).lower(), "idle"), state, began, changed
        )
        return History(
            thread, (), events, list(descartes.tasks_of(rows, " FROM tasks WHERE assigned_to = ?", [thread_id]))
        )


def _unassigned(rows: Rows) -> History:
    tasks, events = list(descartes.tasks_of(rows, _LOOSE_TASKS, [])), list(_events(rows, _LOOSE_EVENTS, []))
    changed = next(rows.execute(f"SELECT max(updated_at){_LOOSE_TASKS}"))[0]
    at = max([event.at for event in events], default=seconds(changed) or 0.0)
    state: Json = {"tasks": len(tasks), "events": len(events)}
    return History(Thread(UNASSIGNED, UNASSIGNED, "idle", state, at, at), (), events, tasks)


def _events(rows: Rows, clause: str, values: list[Value], agent_id: str = "") -> Iterator[Event]:
    """Yield events. The file has no sessions: the one that an event names is in its metadata."""
    for event in descartes.events_of(rows, clause, values, agent_id):
        yield Event(
            event.key, event.at, event.actor, event.kind, event.content,
            {**event.metadata, **({"session_id": event.session} if event.session else {})}, actor_id=event.actor_id,
        )  # fmt: skip
