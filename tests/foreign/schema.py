"""The files that the orchestrator makes: versions 4 and 5 of its own layout, and the one of its `init` command.

Written down a second time on purpose: our own schema.py is tested against this one.
"""

import sqlite3
import time
from pathlib import Path

MIGRATIONS = (
    (1, "create_agent_states", "Create agent states table"),
    (2, "create_state_transitions", "Create state transition history table"),
    (3, "create_state_snapshots", "Create state snapshots table"),
    (4, "add_state_indexes", "Add performance indexes"),
    (5, "enhance_task_model", "Add priority, complexity, and dependencies to tasks"),
)

_BEFORE_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS events (
  id TEXT PRIMARY KEY NOT NULL,
  event_type TEXT NOT NULL, timestamp INTEGER NOT NULL, session_id TEXT NOT NULL,
  actor_type TEXT NOT NULL, actor_id TEXT NOT NULL, content TEXT NOT NULL,
  metadata TEXT, git_commit TEXT,
  created_at INTEGER NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY NOT NULL,
  agent_id TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER, status TEXT NOT NULL, metadata TEXT,
  created_at INTEGER NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_sessions_agent_id ON sessions(agent_id);
CREATE INDEX IF NOT EXISTS idx_sessions_started_at ON sessions(started_at DESC);
CREATE INDEX IF NOT EXISTS idx_sessions_status ON sessions(status);
CREATE TABLE IF NOT EXISTS migrations (
  version INTEGER PRIMARY KEY NOT NULL,
  name TEXT NOT NULL UNIQUE, description TEXT, applied_at INTEGER NOT NULL, rollback_script TEXT
);
"""

# The release that knows migration 5 makes new task tables with its columns, and leaves older ones as they are:
# on a version 4 file its migration 5 then fails at the first index.
_TASKS = {
    4: """
CREATE TABLE IF NOT EXISTS tasks (
  id TEXT PRIMARY KEY NOT NULL,
  title TEXT NOT NULL, description TEXT, status TEXT NOT NULL, assigned_to TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, metadata TEXT,
  created_timestamp INTEGER NOT NULL DEFAULT CURRENT_TIMESTAMP
);
""",
    5: """
CREATE TABLE IF NOT EXISTS tasks (
  id TEXT PRIMARY KEY NOT NULL,
  title TEXT NOT NULL, description TEXT, status TEXT NOT NULL,
  priority TEXT NOT NULL DEFAULT 'medium', complexity TEXT NOT NULL DEFAULT 'moderate',
  assigned_to TEXT, dependencies TEXT DEFAULT '[]',
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, metadata TEXT,
  created_timestamp INTEGER NOT NULL DEFAULT CURRENT_TIMESTAMP
);
""",
}

_STEPS = {
    1: """
CREATE TABLE IF NOT EXISTS agent_states (
  key TEXT PRIMARY KEY NOT NULL,
  agent_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'idle',
  metadata TEXT NOT NULL DEFAULT '{}',
  state_data TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  is_deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_agent_states_agent_id ON agent_states(agent_id);
CREATE INDEX IF NOT EXISTS idx_agent_states_status ON agent_states(status) WHERE is_deleted = 0;
CREATE INDEX IF NOT EXISTS idx_agent_states_updated_at ON agent_states(updated_at) WHERE is_deleted = 0;
""",
    2: """
CREATE TABLE IF NOT EXISTS state_transitions (
  id TEXT PRIMARY KEY NOT NULL,
  agent_id TEXT NOT NULL,
  state_before TEXT NOT NULL, state_after TEXT NOT NULL,
  reason TEXT,
  timestamp INTEGER NOT NULL,
  metadata TEXT
);
CREATE INDEX IF NOT EXISTS idx_state_transitions_agent_id ON state_transitions(agent_id);
CREATE INDEX IF NOT EXISTS idx_state_transitions_timestamp ON state_transitions(timestamp);
""",
    3: """
CREATE TABLE IF NOT EXISTS state_snapshots (
  id TEXT PRIMARY KEY NOT NULL,
  agent_id TEXT NOT NULL,
  state_data TEXT NOT NULL,
  description TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
);
CREATE INDEX IF NOT EXISTS idx_state_snapshots_agent_id ON state_snapshots(agent_id);
CREATE INDEX IF NOT EXISTS idx_state_snapshots_created_at ON state_snapshots(created_at);
""",
    4: """
CREATE INDEX IF NOT EXISTS idx_agent_states_created_at ON agent_states(created_at);
CREATE INDEX IF NOT EXISTS idx_state_transitions_agent_timestamp ON state_transitions(agent_id, timestamp);
CREATE INDEX IF NOT EXISTS idx_state_snapshots_agent_created ON state_snapshots(agent_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_events_session_timestamp ON events(session_id, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_events_actor_id ON events(actor_id);
CREATE INDEX IF NOT EXISTS idx_events_type_timestamp ON events(event_type, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_events_content_search ON events(content) WHERE content IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks(status);
CREATE INDEX IF NOT EXISTS idx_tasks_assigned_to ON tasks(assigned_to);
CREATE INDEX IF NOT EXISTS idx_tasks_status_updated ON tasks(status, updated_at DESC);
""",
    5: """
CREATE TABLE IF NOT EXISTS task_dependencies (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL,
  depends_on_task_id TEXT NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (strftime('%s','now')),
  FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  FOREIGN KEY (depends_on_task_id) REFERENCES tasks(id) ON DELETE CASCADE,
  UNIQUE (task_id, depends_on_task_id)
);
CREATE INDEX IF NOT EXISTS idx_task_dependencies_task_id ON task_dependencies(task_id);
CREATE INDEX IF NOT EXISTS idx_task_dependencies_depends_on ON task_dependencies(depends_on_task_id);
CREATE INDEX IF NOT EXISTS idx_tasks_priority ON tasks(priority);
CREATE INDEX IF NOT EXISTS idx_tasks_complexity ON tasks(complexity);
CREATE INDEX IF NOT EXISTS idx_tasks_priority_status ON tasks(priority, status);
CREATE INDEX IF NOT EXISTS idx_tasks_complexity_status ON tasks(complexity, status);
""",
}

_INIT = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    event_type TEXT NOT NULL, timestamp INTEGER NOT NULL, session_id TEXT NOT NULL,
    actor_type TEXT NOT NULL, actor_id TEXT NOT NULL, content TEXT NOT NULL, metadata TEXT, git_commit TEXT
);
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL, description TEXT, status TEXT NOT NULL, assigned_to TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, metadata TEXT
);
CREATE TABLE IF NOT EXISTS agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL, status TEXT NOT NULL, model_backend TEXT NOT NULL,
    started_at INTEGER NOT NULL, completed_at INTEGER, task TEXT NOT NULL, metadata TEXT
);
CREATE INDEX IF NOT EXISTS idx_events_session ON events(session_id);
CREATE INDEX IF NOT EXISTS idx_events_type ON events(event_type);
CREATE INDEX IF NOT EXISTS idx_events_timestamp ON events(timestamp);
CREATE INDEX IF NOT EXISTS idx_tasks_status ON tasks(status);
CREATE INDEX IF NOT EXISTS idx_agents_status ON agents(status);
"""


def connect(path: Path | str) -> sqlite3.Connection:
    """Return a connection as the orchestrator opens it: autocommit, foreign keys, 5 s for a lock, no WAL."""
    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def migrate(connection: sqlite3.Connection, version: int = 5) -> list[int]:
    """Run the orchestrator's own migrations up to `version`; return those that were not applied before."""
    connection.executescript(_BEFORE_MIGRATIONS + _TASKS[version])
    applied = {row[0] for row in connection.execute("SELECT version FROM migrations")}
    missing = [step for step in MIGRATIONS if step[0] <= version and step[0] not in applied]
    for number, name, description in missing:
        connection.executescript(_STEPS[number])
        connection.execute(
            "INSERT INTO migrations (version, name, description, applied_at) VALUES (?, ?, ?, ?)",
            (number, name, description, int(time.time())),
        )
    return [number for number, _, _ in missing]


def create(path: Path | str, version: int = 5) -> Path:
    """Make a new file of version 4 or 5 and return its path."""
    connection = connect(path)
    migrate(connection, version)
    connection.close()
    return Path(path)


def create_init(path: Path | str) -> Path:
    """Make a new file as `descartes init` does and return its path."""
    connection = connect(path)
    connection.executescript(_INIT)
    connection.close()
    return Path(path)
