"""Our side tables in the store. All names start with `dash_`; `manage.py leave` takes them away."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore.db import fields

SQLITE_GUARDS = (
    "CREATE TRIGGER dash_audit_no_update BEFORE UPDATE ON dash_audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER dash_audit_no_delete BEFORE DELETE ON dash_audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)
POSTGRES_GUARDS = (
    "CREATE FUNCTION dash_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER dash_audit_append_only BEFORE UPDATE OR DELETE ON dash_audit"
    " FOR EACH ROW EXECUTE FUNCTION dash_audit_refuse()",
)
DROP_SQLITE_GUARDS = (
    "DROP TRIGGER IF EXISTS dash_audit_no_update",
    "DROP TRIGGER IF EXISTS dash_audit_no_delete",
)
DROP_POSTGRES_GUARDS = (
    "DROP TRIGGER IF EXISTS dash_audit_append_only ON dash_audit",
    "DROP FUNCTION IF EXISTS dash_audit_refuse()",
)

SQLITE_INDEX = (
    "CREATE INDEX IF NOT EXISTS dash_agents_by_change ON agent_states"
    " (updated_at, status, agent_id, name, key, is_deleted)"
)
DROP_INDEX = "DROP INDEX IF EXISTS dash_agents_by_change"

# Building the index holds the write lock for some 5 µs a row. With more agents than this the orchestrator would wait
# too long; the doctor then says how to build the index while the orchestrator is idle.
INDEXED_AGENTS = 20_000


def guard_audit(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the database itself refuse to change or delete an audit entry."""
    for statement in POSTGRES_GUARDS if editor.connection.vendor == "postgresql" else SQLITE_GUARDS:
        editor.execute(statement)


def unguard_audit(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the guards away, so that the table can be dropped."""
    for statement in DROP_POSTGRES_GUARDS if editor.connection.vendor == "postgresql" else DROP_SQLITE_GUARDS:
        editor.execute(statement)


def index_agents(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Build our index where that is quick; not on PostgreSQL, which refuses entries over some 2.7 KB."""
    if editor.connection.vendor == "postgresql":
        return
    with editor.connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM agent_states LIMIT {INDEXED_AGENTS + 1}) AS few")  # noqa: S608
        (agents,) = cursor.fetchone()
    if agents <= INDEXED_AGENTS:
        editor.execute(SQLITE_INDEX)


def drop_index(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take our index away."""
    editor.execute(DROP_INDEX)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0001_orchestrator_schema")]

    operations = [
        migrations.CreateModel(
            name="SnapshotExpiry",
            fields=[
                ("snapshot_id", fields.LenientText(primary_key=True, serialize=False)),
                ("expires_at", fields.UnixSeconds()),
            ],
            options={
                "db_table": "dash_expiry",
                "indexes": [models.Index(fields=["expires_at"], name="dash_expiry_at")],
            },
        ),
        migrations.CreateModel(
            name="Adoption",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", fields.UnixSeconds()),
                (
                    "layout",
                    models.CharField(
                        help_text="What was found: version 4, version 5, the init layout, or nothing.", max_length=40
                    ),
                ),
                ("schema", fields.LenientText(help_text="sqlite_master as it was found, as JSON.")),
                ("journal_mode", models.CharField(blank=True, default="", max_length=20)),
            ],
            options={
                "db_table": "dash_adoption",
            },
        ),
        migrations.CreateModel(
            name="Tombstone",
            fields=[
                ("agent_id", fields.LenientText(primary_key=True, serialize=False)),
                ("at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
            ],
            options={
                "db_table": "dash_tombstone",
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                (
                    "address",
                    fields.LenientText(
                        blank=True, default="", help_text="The network address that the request came from."
                    ),
                ),
                ("verb", models.CharField(max_length=40)),
                ("noun", models.CharField(help_text="The kind of row: agent, snapshot, task …", max_length=40)),
                ("row_id", fields.LenientText()),
                ("hash_before", models.CharField(blank=True, default="", max_length=64)),
                ("hash_after", models.CharField(blank=True, default="", max_length=64)),
                (
                    "detail",
                    fields.LenientText(blank=True, default="", help_text="What else is worth knowing, as JSON."),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "db_table": "dash_audit",
                "indexes": [models.Index(fields=["row_id", "id"], name="dash_audit_row")],
            },
        ),
        migrations.CreateModel(
            name="Restore",
            fields=[
                (
                    "id",
                    fields.LenientText(default=fields.new_id, primary_key=True, serialize=False),
                ),
                ("agent_id", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
                (
                    "moment",
                    fields.LenientText(help_text="The moment that was put back, in the grammar of moments.py."),
                ),
                (
                    "hash_before",
                    models.CharField(help_text="SHA-256 of the state that was overwritten.", max_length=64),
                ),
                (
                    "hash_after",
                    models.CharField(help_text="SHA-256 of the state that was written and read back.", max_length=64),
                ),
                ("safety_snapshot_id", fields.LenientText()),
                ("transition_id", fields.LenientText()),
                ("undoes_id", fields.LenientText(help_text="The restore that this one undid.", null=True)),
            ],
            options={
                "db_table": "dash_restore",
                "indexes": [
                    models.Index(fields=["at", "id"], name="dash_restore_at"),
                    models.Index(fields=["agent_id", "at"], name="dash_restore_agent"),
                ],
            },
        ),
        migrations.RunPython(guard_audit, unguard_audit, hints={"place": "store"}),
        migrations.RunPython(index_agents, drop_index, hints={"place": "store"}),
    ]
