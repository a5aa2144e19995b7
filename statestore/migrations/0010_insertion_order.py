"""An index of events by insertion, which the live tail follows; on PostgreSQL alone, since SQLite's rows lie in it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

POSTGRES_INDEX = "CREATE INDEX IF NOT EXISTS dash_events_by_insertion ON events (rowid)"
DROP_POSTGRES_INDEX = "DROP INDEX IF EXISTS dash_events_by_insertion"


def add_index(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Add the index."""
    if editor.connection.vendor == "postgresql":
        editor.execute(POSTGRES_INDEX, params=None)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the index."""
    if editor.connection.vendor == "postgresql":
        editor.execute(DROP_POSTGRES_INDEX, params=None)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0009_kept_answer_busy_until")]

    operations = [migrations.RunPython(add_index, take_away, hints={"place": "store"})]
