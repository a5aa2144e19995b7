"""A column for what a number was in the SQLite file that it came from; on PostgreSQL alone."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore import dialect
from statestore.exchange import originals


def add_columns(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Add it to the tables that an export has numbers of."""
    for statement in () if dialect.is_sqlite(editor.connection) else originals.CREATE:
        editor.execute(statement)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop all that was made here."""
    for statement in () if dialect.is_sqlite(editor.connection) else originals.DROP:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0007_api")]

    operations = [migrations.RunPython(add_columns, take_away, hints={"place": "store"})]
