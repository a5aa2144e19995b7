"""A column for what a number was in the SQLite file that it came from; on PostgreSQL alone."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

POSTGRES_COLUMNS = (
    "ALTER TABLE agent_states ADD COLUMN IF NOT EXISTS stored_as TEXT",
    "ALTER TABLE events ADD COLUMN IF NOT EXISTS stored_as TEXT",
    "ALTER TABLE sessions ADD COLUMN IF NOT EXISTS stored_as TEXT",
    "ALTER TABLE state_snapshots ADD COLUMN IF NOT EXISTS stored_as TEXT",
    "ALTER TABLE state_transitions ADD COLUMN IF NOT EXISTS stored_as TEXT",
    "ALTER TABLE tasks ADD COLUMN IF NOT EXISTS stored_as TEXT",
)
DROP_POSTGRES_COLUMNS = (
    "ALTER TABLE agent_states DROP COLUMN IF EXISTS stored_as",
    "ALTER TABLE events DROP COLUMN IF EXISTS stored_as",
    "ALTER TABLE sessions DROP COLUMN IF EXISTS stored_as",
    "ALTER TABLE state_snapshots DROP COLUMN IF EXISTS stored_as",
    "ALTER TABLE state_transitions DROP COLUMN IF EXISTS stored_as",
    "ALTER TABLE tasks DROP COLUMN IF EXISTS stored_as",
)


def add_columns(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Add the column to the tables that an export takes numbers from."""
    for statement in POSTGRES_COLUMNS if editor.connection.vendor == "postgresql" else ():
        editor.execute(statement)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the columns."""
    for statement in DROP_POSTGRES_COLUMNS if editor.connection.vendor == "postgresql" else ():
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0007_api")]

    operations = [migrations.RunPython(add_columns, take_away, hints={"place": "store"})]
