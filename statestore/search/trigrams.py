"""PostgreSQL's own trigram indexes on events, and their orders by time and by insertion; all with names of ours."""

from typing import Final

# In the collation "C" only ASCII letters have another case: the condition that the index serves is SQLite's LIKE.
_INDEXED: Final = {
    "dash_events_content": "content",
    "dash_events_type": "event_type",
    "dash_events_session": "session_id",
}
CREATE: Final = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    *(
        f'CREATE INDEX IF NOT EXISTS {name} ON events USING gin (lower({column} COLLATE "C") gin_trgm_ops)'
        for name, column in _INDEXED.items()
    ),
    "CREATE INDEX IF NOT EXISTS dash_events_by_time ON events (timestamp DESC, rowid DESC)",
)
# The extension stays: others may have come to use it.
DROP: Final = tuple(f"DROP INDEX IF EXISTS {name}" for name in (*_INDEXED, "dash_events_by_time"))
CREATE_BY_INSERTION: Final = ("CREATE INDEX IF NOT EXISTS dash_events_by_insertion ON events (rowid)",)
DROP_BY_INSERTION: Final = ("DROP INDEX IF EXISTS dash_events_by_insertion",)
