"""The orchestrator's saves, statement by statement, with its habits: REPLACE, whole seconds, columns that it omits.

`python -m tests.foreign.orchestrator FILE` saves into a live file from a process of its own; see writer.py.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.foreign.schema import connect, create, create_init, migrate

__all__ = ["Orchestrator", "connect", "create", "create_init", "migrate"]

_SAVE_AGENT = """
INSERT OR REPLACE INTO agent_states
  (key, agent_id, name, status, metadata, state_data, version, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SAVE_EVENT = """
INSERT OR REPLACE INTO events
  (id, event_type, timestamp, session_id, actor_type, actor_id, content, metadata, git_commit)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SAVE_TASK = """
INSERT OR REPLACE INTO tasks
  (id, title, description, status, priority, complexity, assigned_to, dependencies, created_at, updated_at, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SAVE_TASK_BEFORE_5 = """
INSERT OR REPLACE INTO tasks
  (id, title, description, status, assigned_to, created_at, updated_at, metadata)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def task_statements(row: Sequence[Any], dependencies: Sequence[str]) -> list[tuple[str, Sequence[Any]]]:
    """Return the statements that save a task, each of which commits by itself: its row, then its edges anew."""
    task_id = row[0]
    edge = "INSERT INTO task_dependencies (task_id, depends_on_task_id) VALUES (?, ?)"
    return [
        (_SAVE_TASK, row),
        ("DELETE FROM task_dependencies WHERE task_id = ?", (task_id,)),
        *((edge, (task_id, dependency)) for dependency in dependencies),
    ]


def new_id() -> str:
    return str(uuid.uuid4())


class Orchestrator:
    """One open file, and the saves into it. Every method is one statement that commits by itself."""

    def __init__(self, path: Path | str, prefix: str | None = None) -> None:
        self.connection = connect(path)
        self.prefix = prefix
        columns = {row[1] for row in self.connection.execute("PRAGMA table_info(tasks)")}
        self.knows_priorities = "priority" in columns

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def key(self, agent_id: str) -> str:
        """Return the key that an agent is saved under."""
        return f"{self.prefix}:{agent_id}" if self.prefix else agent_id

    def save_agent(
        self,
        agent_id: str,
        state: str,
        *,
        name: str = "",
        status: str = "running",
        metadata: str = "{}",
        version: int = 1,
        created_at: int | None = None,
        at: int | None = None,
    ) -> None:
        """Replace the agent's row; `is_deleted` is not named and falls back to 0."""
        at = int(time.time()) if at is None else at
        created_at = at if created_at is None else created_at
        row = (self.key(agent_id), agent_id, name or agent_id, status, metadata, state, version, created_at, at)
        self.connection.execute(_SAVE_AGENT, row)

    def load_agent(self, agent_id: str) -> dict[str, Any] | None:
        """Return the agent's row, deleted or not: the orchestrator does not look at the flag."""
        cursor = self.connection.execute("SELECT * FROM agent_states WHERE key = ?", (self.key(agent_id),))
        row = cursor.fetchone()
        return None if row is None else dict(zip([column[0] for column in cursor.description], row, strict=True))

    def delete_agent(self, agent_id: str) -> None:
        """Delete the agent's row for good; its transitions and snapshots stay behind."""
        self.connection.execute("DELETE FROM agent_states WHERE key = ?", (self.key(agent_id),))

    def record_transition(
        self, agent_id: str, before: str, after: str, *, reason: str | None = None, at: int | None = None
    ) -> str:
        """Insert one transition and return its id."""
        row = (new_id(), agent_id, before, after, reason, int(time.time()) if at is None else at)
        self.connection.execute(
            "INSERT INTO state_transitions (id, agent_id, state_before, state_after, reason, timestamp)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        return row[0]

    def create_snapshot(
        self, agent_id: str, state: str, *, description: str | None = None, at: int | None = None
    ) -> str:
        """Insert one snapshot and return its id; the orchestrator never sets an expiry."""
        row = (new_id(), agent_id, state, description, int(time.time()) if at is None else at)
        self.connection.execute(
            "INSERT INTO state_snapshots (id, agent_id, state_data, description, created_at) VALUES (?, ?, ?, ?, ?)",
            row,
        )
        return row[0]

    def save_event(
        self,
        content: str,
        *,
        event_type: str = "message",
        session_id: str = "session",
        actor_type: str = "Agent",
        actor_id: str = "agent",
        git_commit: str | None = None,
        event_id: str | None = None,
        at: int | None = None,
    ) -> str:
        """Replace one event and return its id; `created_at` is not named and becomes CURRENT_TIMESTAMP text."""
        event_id = event_id or new_id()
        at = int(time.time()) if at is None else at
        row = (event_id, event_type, at, session_id, actor_type, actor_id, content, "{}", git_commit)
        self.connection.execute(_SAVE_EVENT, row)
        return event_id

    def save_task(
        self,
        title: str,
        *,
        status: str = "Todo",
        priority: str = "medium",
        complexity: str = "moderate",
        assigned_to: str | None = None,
        dependencies: Sequence[str] = (),
        task_id: str | None = None,
        at: int | None = None,
    ) -> str:
        """Replace one task and return its id. Edges that pointed at the replaced row cascade away."""
        task_id = task_id or new_id()
        at = int(time.time()) if at is None else at
        if not self.knows_priorities:
            row = (task_id, title, None, status, assigned_to, at, at, None)
            self.connection.execute(_SAVE_TASK_BEFORE_5, row)
            return task_id
        waits_for = json.dumps(list(dependencies))
        row_5 = (task_id, title, None, status, priority, complexity, assigned_to, waits_for, at, at, None)
        for sql, parameters in task_statements(row_5, dependencies):
            self.connection.execute(sql, parameters)
        return task_id

    def start_session(self, session_id: str, agent_id: str, *, at: int | None = None, ended: int | None = None) -> None:
        """Insert one session, open unless `ended` says when it was over."""
        at = int(time.time()) if at is None else at
        self.connection.execute(
            "INSERT OR REPLACE INTO sessions (id, agent_id, started_at, ended_at, status) VALUES (?, ?, ?, ?, ?)",
            (session_id, agent_id, at, ended, "active" if ended is None else "completed"),
        )

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query: what the orchestrator would see."""
        return self.connection.execute(sql, parameters).fetchall()


def schema_objects(path: Path | str) -> list[tuple[str, str, str, str | None]]:
    """Return sqlite_master without page numbers, sorted: two equal ones mean two equal schemas."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    connection.close()
    return sorted(rows, key=lambda row: row[:3])


if __name__ == "__main__":
    from tests.foreign.writer import main

    main()
