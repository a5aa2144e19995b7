"""An index of events by insertion, which the live tail follows; on PostgreSQL alone, since SQLite's rows lie in it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore import dialect
from statestore.search import trigrams


def add_index(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Add it."""
    for statement in () if dialect.is_sqlite(editor.connection) else trigrams.CREATE_BY_INSERTION:
        editor.execute(statement, params=None)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop it."""
    for statement in () if dialect.is_sqlite(editor.connection) else trigrams.DROP_BY_INSERTION:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0009_kept_answer_busy_until")]

    operations = [migrations.RunPython(add_index, take_away, hints={"place": "store"})]
