"""Marks of changed events for the search index, with the triggers that set them; on PostgreSQL trigram indexes."""

from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore import dialect
from statestore.search import marks, trigrams


def prepare_search(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the tables of marks and, unless SEARCH_TRIGGERS forbids it, the triggers; or PostgreSQL's indexes."""
    if not dialect.is_sqlite(editor.connection):
        for statement in trigrams.CREATE:
            editor.execute(statement, params=None)
        return
    for statement in (*marks.CREATE_TABLES, *(marks.CREATE_TRIGGERS if settings.SEARCH_TRIGGERS else ())):
        editor.execute(statement, params=None)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop all that was made here."""
    for statement in marks.DROP if dialect.is_sqlite(editor.connection) else trigrams.DROP:
        editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0004_time_machine")]

    operations = [migrations.RunPython(prepare_search, take_away, hints={"place": "store"})]
