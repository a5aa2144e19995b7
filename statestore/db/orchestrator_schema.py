"""The contract with the orchestrator: its tables, as its SQLite file has them.

Version 5 is the layout of the orchestrator's own migrations 1-5. Nothing in this file may follow the models: they
follow it. Adoption and the doctor work by it; what a new store gets, on PostgreSQL too, is written in migration 0001,
and the tests compare the two.
"""

from typing import Final

# name: (columns as (name, type, constraint), table constraints)
_TABLES: Final[dict[str, tuple[tuple[tuple[str, str, str], ...], tuple[str, ...]]]] = {
    "events": (
        (
            ("id", "TEXT", "PRIMARY KEY NOT NULL"),
            ("event_type", "TEXT", "NOT NULL"),
            ("timestamp", "INTEGER", "NOT NULL"),
            ("session_id", "TEXT", "NOT NULL"),
            ("actor_type", "TEXT", "NOT NULL"),
            ("actor_id", "TEXT", "NOT NULL"),
            ("content", "TEXT", "NOT NULL"),
            ("metadata", "TEXT", ""),
            ("git_commit", "TEXT", ""),
            ("created_at", "INTEGER", "NOT NULL DEFAULT CURRENT_TIMESTAMP"),
        ),
        (),
    ),
    "tasks": (
        (
            ("id", "TEXT", "PRIMARY KEY NOT NULL"),
            ("title", "TEXT", "NOT NULL"),
            ("description", "TEXT", ""),
            ("status", "TEXT", "NOT NULL"),
            ("priority", "TEXT", "NOT NULL DEFAULT 'medium'"),
            ("complexity", "TEXT", "NOT NULL DEFAULT 'moderate'"),
            ("assigned_to", "TEXT", ""),
            ("dependencies", "TEXT", "DEFAULT '[]'"),
            ("created_at", "INTEGER", "NOT NULL"),
            ("updated_at", "INTEGER", "NOT NULL"),
            ("metadata", "TEXT", ""),
            ("created_timestamp", "INTEGER", "NOT NULL DEFAULT CURRENT_TIMESTAMP"),
        ),
        (),
    ),
    "sessions": (
        (
            ("id", "TEXT", "PRIMARY KEY NOT NULL"),
            ("agent_id", "TEXT", "NOT NULL"),
            ("started_at", "INTEGER", "NOT NULL"),
            ("ended_at", "INTEGER", ""),
            ("status", "TEXT", "NOT NULL"),
            ("metadata", "TEXT", ""),
            ("created_at", "INTEGER", "NOT NULL DEFAULT CURRENT_TIMESTAMP"),
        ),
        (),
    ),
    "migrations": (
        (
            ("version", "INTEGER", "PRIMARY KEY NOT NULL"),
            ("name", "TEXT", "NOT NULL UNIQUE"),
            ("description", "TEXT", ""),
            ("applied_at", "INTEGER", "NOT NULL"),
            ("rollback_script", "TEXT", ""),
        ),
        (),
    ),
    "agent_states": (
        (
            ("key", "TEXT", "PRIMARY KEY NOT NULL"),
            ("agent_id", "TEXT", "NOT NULL UNIQUE"),
            ("name", "TEXT", "NOT NULL"),
            ("status", "TEXT", "NOT NULL DEFAULT 'idle'"),
            ("metadata", "TEXT", "NOT NULL DEFAULT '{}'"),
            ("state_data", "TEXT", "NOT NULL"),
            ("version", "INTEGER", "NOT NULL DEFAULT 1"),
            ("created_at", "INTEGER", "NOT NULL"),
            ("updated_at", "INTEGER", "NOT NULL"),
            ("is_deleted", "INTEGER", "NOT NULL DEFAULT 0"),
        ),
        (),
    ),
    "state_transitions": (
        (
            ("id", "TEXT", "PRIMARY KEY NOT NULL"),
            ("agent_id", "TEXT", "NOT NULL"),
            ("state_before", "TEXT", "NOT NULL"),
            ("state_after", "TEXT", "NOT NULL"),
            ("reason", "TEXT", ""),
            ("timestamp", "INTEGER", "NOT NULL"),
            ("metadata", "TEXT", ""),
        ),
        (),
    ),
    "state_snapshots": (
        (
            ("id", "TEXT", "PRIMARY KEY NOT NULL"),
            ("agent_id", "TEXT", "NOT NULL"),
            ("state_data", "TEXT", "NOT NULL"),
            ("description", "TEXT", ""),
            ("created_at", "INTEGER", "NOT NULL"),
            ("expires_at", "INTEGER", ""),
        ),
        (),
    ),
    "task_dependencies": (
        (
            ("id", "INTEGER", "PRIMARY KEY AUTOINCREMENT"),
            ("task_id", "TEXT", "NOT NULL"),
            ("depends_on_task_id", "TEXT", "NOT NULL"),
            ("created_at", "INTEGER", "NOT NULL DEFAULT (strftime('%s', 'now'))"),
        ),
        (
            "FOREIGN KEY (task_id) REFERENCES tasks(id) ON DELETE CASCADE",
            "FOREIGN KEY (depends_on_task_id) REFERENCES tasks(id) ON DELETE CASCADE",
            "UNIQUE (task_id, depends_on_task_id)",
        ),
    ),
}

# name: (table, what is indexed, the orchestrator's migration that makes it). Partial conditions come with the columns.
INDEXES: Final[dict[str, tuple[str, str]]] = {
    "idx_agent_states_agent_id": ("agent_states", "(agent_id)"),
    "idx_agent_states_status": ("agent_states", "(status) WHERE is_deleted = 0"),
    "idx_agent_states_updated_at": ("agent_states", "(updated_at) WHERE is_deleted = 0"),
    "idx_agent_states_created_at": ("agent_states", "(created_at)"),
    "idx_state_transitions_agent_id": ("state_transitions", "(agent_id)"),
    "idx_state_transitions_timestamp": ("state_transitions", "(timestamp)"),
    "idx_state_transitions_agent_timestamp": ("state_transitions", "(agent_id, timestamp)"),
    "idx_state_snapshots_agent_id": ("state_snapshots", "(agent_id)"),
    "idx_state_snapshots_created_at": ("state_snapshots", "(created_at)"),
    "idx_state_snapshots_agent_created": ("state_snapshots", "(agent_id, created_at DESC)"),
    "idx_events_session_timestamp": ("events", "(session_id, timestamp DESC)"),
    "idx_events_actor_id": ("events", "(actor_id)"),
    "idx_events_type_timestamp": ("events", "(event_type, timestamp DESC)"),
    "idx_events_content_search": ("events", "(content) WHERE content IS NOT NULL"),
    "idx_tasks_status": ("tasks", "(status)"),
    "idx_tasks_assigned_to": ("tasks", "(assigned_to)"),
    "idx_tasks_status_updated": ("tasks", "(status, updated_at DESC)"),
    "idx_sessions_agent_id": ("sessions", "(agent_id)"),
    "idx_sessions_started_at": ("sessions", "(started_at DESC)"),
    "idx_sessions_status": ("sessions", "(status)"),
    "idx_tasks_priority": ("tasks", "(priority)"),
    "idx_tasks_complexity": ("tasks", "(complexity)"),
    "idx_tasks_priority_status": ("tasks", "(priority, status)"),
    "idx_tasks_complexity_status": ("tasks", "(complexity, status)"),
    "idx_task_dependencies_task_id": ("task_dependencies", "(task_id)"),
    "idx_task_dependencies_depends_on": ("task_dependencies", "(depends_on_task_id)"),
}

# No query of ours needs these: one holds whole contents again, the other is the first column of a second index. A store
# of our own that mirrors others is smaller without them; an orchestrator that is given it makes them again.
UNREAD_INDEXES: Final = ("idx_events_content_search", "idx_state_transitions_agent_id")

# Ours, on the orchestrator's table. The list of agents, filtered in any way, is walked in it alone: reading 100,000
# rows with their states takes 200 ms, this index 20 ms. The orchestrator's save pays for one entry of 100 bytes.
OWN_INDEXES: Final[dict[str, tuple[str, str]]] = {
    "dash_agents_by_change": ("agent_states", "(updated_at, status, agent_id, name, key, is_deleted)"),
}

# The table of the events of an agent history, which the orchestrator may keep in this file or in another one.
AGENT_HISTORY: Final = "agent_history_events"
# The orchestrator's own migrations: (version, name, description).
ORCHESTRATOR_MIGRATIONS: Final = (
    (1, "create_agent_states", "Create agent states table"),
    (2, "create_state_transitions", "Create state transition history table"),
    (3, "create_state_snapshots", "Create state snapshots table"),
    (4, "add_state_indexes", "Add performance indexes"),
    (5, "enhance_task_model", "Add priority, complexity, and dependencies to tasks"),
)

TABLES: Final = tuple(_TABLES)


def columns(table: str) -> tuple[str, ...]:
    """Return the column names of one of the orchestrator's tables, in order."""
    return tuple(name for name, _, _ in _TABLES[table][0])


def column_definition(table: str, column: str) -> str:
    """Return one column as SQLite's ADD COLUMN takes it."""
    return next(f"{name} {kind} {rest}".strip() for name, kind, rest in _TABLES[table][0] if name == column)


def create_table(table: str) -> str:
    """Return the statement that creates a table if it does not exist."""
    definitions, constraints = _TABLES[table]
    body = ",\n    ".join([*(" ".join(filter(None, column)) for column in definitions), *constraints])
    return f"CREATE TABLE IF NOT EXISTS {table} (\n    {body}\n)"


def create_index(name: str) -> str:
    """Return the statement that creates an index if it does not exist."""
    table, what = INDEXES.get(name) or OWN_INDEXES[name]
    return f"CREATE INDEX IF NOT EXISTS {name} ON {table} {what}"


def create_statements() -> list[str]:
    """Return all statements that turn an empty database into the orchestrator's version 5, migration rows excepted."""
    return [*map(create_table, TABLES), *map(create_index, INDEXES)]
