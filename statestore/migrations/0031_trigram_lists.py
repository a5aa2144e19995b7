"""Longer lists of what is new in PostgreSQL's trigram indexes, so that sorting them in is cheaper."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# Of partitioned events each partition has its own indexes; those of the whole have no lists.
ALTER_INDEXES = """
DO $$
DECLARE name regclass;
BEGIN
    FOR name IN
        SELECT index.oid
          FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_am AS kind ON kind.oid = relam
         WHERE amname = 'gin' AND relkind = 'i'
           AND indrelid IN (SELECT 'events'::regclass UNION SELECT relid FROM pg_partition_tree('events'::regclass))
    LOOP
        EXECUTE 'ALTER INDEX ' || name || ' {change}';
    END LOOP;
END $$
"""
# In kilobytes; PostgreSQL's own choice is 4096.
LONGER = ALTER_INDEXES.replace("{change}", "SET (gin_pending_list_limit = 8192)")
USUAL = ALTER_INDEXES.replace("{change}", "RESET (gin_pending_list_limit)")


def lengthen(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Let the lists grow to 8 MB."""
    if editor.connection.vendor == "postgresql":
        editor.execute(LONGER, params=None)


def take_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Let the server choose again."""
    if editor.connection.vendor == "postgresql":
        editor.execute(USUAL, params=None)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0030_intended_forks")]

    operations = [migrations.RunPython(lengthen, take_away, hints={"place": "store"})]
