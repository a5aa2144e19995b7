"""Marks of changed events for the search index, with the triggers that set them; on PostgreSQL trigram indexes."""

from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE_TABLES = (
    "CREATE TABLE IF NOT EXISTS dash_dirty (pk TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL,"
    " at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS dash_index (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL)",
)
# Each trigger marks the events that change, by an upsert: inside a trigger that INSERT OR REPLACE fires, `OR IGNORE`
# becomes REPLACE too. The generation is random, so that a mark that was cleared and set again differs from the one that
# the indexer read. INSERT OR REPLACE and UPDATE OR REPLACE delete the row that has the new row's rowid without firing
# its DELETE trigger: the BEFORE triggers mark that row. Before an INSERT, a rowid of -1 means that none is chosen yet.
SQLITE_TRIGGERS = (
    "CREATE TRIGGER dash_dirty_insert AFTER INSERT ON events BEGIN"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " VALUES (NEW.id, random(), CAST(strftime('%s', 'now') AS INTEGER))"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation; END",
    "CREATE TRIGGER dash_dirty_replace BEFORE INSERT ON events WHEN NEW.rowid <> -1 BEGIN"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " SELECT id, random(), CAST(strftime('%s', 'now') AS INTEGER)"
    " FROM events WHERE rowid = NEW.rowid AND id <> NEW.id"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation; END",
    "CREATE TRIGGER dash_dirty_update AFTER UPDATE ON events BEGIN"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " VALUES (OLD.id, random(), CAST(strftime('%s', 'now') AS INTEGER))"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation;"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " VALUES (NEW.id, random(), CAST(strftime('%s', 'now') AS INTEGER))"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation; END",
    "CREATE TRIGGER dash_dirty_move BEFORE UPDATE ON events WHEN NEW.rowid <> OLD.rowid BEGIN"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " SELECT id, random(), CAST(strftime('%s', 'now') AS INTEGER)"
    " FROM events WHERE rowid = NEW.rowid AND id <> NEW.id"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation; END",
    "CREATE TRIGGER dash_dirty_delete AFTER DELETE ON events BEGIN"
    " INSERT INTO dash_dirty (pk, generation, at)"
    " VALUES (OLD.id, random(), CAST(strftime('%s', 'now') AS INTEGER))"
    " ON CONFLICT (pk) DO UPDATE SET generation = excluded.generation; END",
)
# In the collation "C" only ASCII letters have another case, as in SQLite's LIKE.
POSTGRES_INDEXES = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    'CREATE INDEX IF NOT EXISTS dash_events_content ON events USING gin (lower(content COLLATE "C") gin_trgm_ops)',
    'CREATE INDEX IF NOT EXISTS dash_events_type ON events USING gin (lower(event_type COLLATE "C") gin_trgm_ops)',
    'CREATE INDEX IF NOT EXISTS dash_events_session ON events USING gin (lower(session_id COLLATE "C") gin_trgm_ops)',
    "CREATE INDEX IF NOT EXISTS dash_events_by_time ON events (timestamp DESC, rowid DESC)",
)

DROP_SQLITE = (
    "DROP TRIGGER IF EXISTS dash_dirty_insert",
    "DROP TRIGGER IF EXISTS dash_dirty_replace",
    "DROP TRIGGER IF EXISTS dash_dirty_update",
    "DROP TRIGGER IF EXISTS dash_dirty_move",
    "DROP TRIGGER IF EXISTS dash_dirty_delete",
    "DROP TABLE IF EXISTS dash_dirty",
    "DROP TABLE IF EXISTS dash_index",
)
# The extension stays, since other programs may use it.
DROP_POSTGRES = (
    "DROP INDEX IF EXISTS dash_events_content",
    "DROP INDEX IF EXISTS dash_events_type",
    "DROP INDEX IF EXISTS dash_events_session",
    "DROP INDEX IF EXISTS dash_events_by_time",
)


def prepare_search(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the tables of marks and, unless SEARCH_TRIGGERS forbids it, the triggers; or PostgreSQL's indexes."""
    statements: tuple[str, ...]
    if editor.connection.vendor == "postgresql":
        statements = POSTGRES_INDEXES
    else:
        statements = (*SQLITE_TABLES, *(SQLITE_TRIGGERS if settings.SEARCH_TRIGGERS else ()))
    for statement in statements:
        # Not the default of (), with which Django would take the %s of strftime for a parameter.
        editor.execute(statement, params=None)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop all that was made here."""
    for statement in DROP_POSTGRES if editor.connection.vendor == "postgresql" else DROP_SQLITE:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0004_time_machine")]

    operations = [migrations.RunPython(prepare_search, take_away, hints={"place": "store"})]
