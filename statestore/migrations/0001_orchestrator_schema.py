"""The orchestrator's own tables, version 5: created where they are missing, faked where a file is adopted."""

import time

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import statestore.fields
import statestore.models
from statestore import schema


def create_schema(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make what the orchestrator would make, and note its migrations as applied so that it does not run them again."""
    vendor: schema.Vendor = "postgresql" if editor.connection.vendor == "postgresql" else "sqlite"
    for statement in schema.create_statements(vendor):
        # Without parameters, not with none of them: Django would read the default's %s as one.
        editor.execute(statement, params=None)
    for version, name, description in schema.ORCHESTRATOR_MIGRATIONS:
        editor.execute(
            "INSERT INTO migrations (version, name, description, applied_at) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (version) DO NOTHING",
            [version, name, description, int(time.time())],
        )


def drop_schema(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the orchestrator's tables away, edges first."""
    for statement in schema.drop_statements():
        editor.execute(statement)


MODELS = [
    migrations.CreateModel(
        name="AgentState",
        fields=[
            ("key", statestore.fields.AnyText(primary_key=True, serialize=False)),
            ("agent_id", statestore.fields.AnyText(unique=True)),
            ("name", statestore.fields.AnyText()),
            ("status", statestore.fields.AnyText(default="idle")),
            ("metadata", statestore.fields.AnyText(default="{}")),
            ("state_data", statestore.fields.AnyText()),
            ("version", statestore.fields.AnyInteger(default=1)),
            ("created_at", statestore.fields.UnixSeconds()),
            ("updated_at", statestore.fields.UnixSeconds()),
            ("is_deleted", statestore.fields.AnyInteger(default=0)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "verbose_name": "agent",
            "db_table": "agent_states",
            "permissions": [
                ("snapshot_agent", "Can take and delete snapshots"),
                ("change_agent_status", "Can change an agent's status"),
                ("restore_agent", "Can restore an agent and undo a restore"),
                ("trash_agent", "Can move an agent to the trash and bring it back"),
                ("purge_agent", "Can delete an agent from the trash for good"),
            ],
        },
    ),
    migrations.CreateModel(
        name="Event",
        fields=[
            ("id", statestore.fields.AnyText(default=statestore.models.new_id, primary_key=True, serialize=False)),
            ("event_type", statestore.fields.AnyText()),
            ("timestamp", statestore.fields.UnixSeconds()),
            ("session_id", statestore.fields.AnyText()),
            ("actor_type", statestore.fields.AnyText()),
            ("actor_id", statestore.fields.AnyText()),
            ("content", statestore.fields.AnyText()),
            ("metadata", statestore.fields.AnyText(null=True)),
            ("git_commit", statestore.fields.AnyText(null=True)),
            ("created_at", statestore.fields.UnixSeconds(default=statestore.models.now)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "db_table": "events",
        },
    ),
    migrations.CreateModel(
        name="OrchestratorMigration",
        fields=[
            ("version", statestore.fields.AnyInteger(primary_key=True, serialize=False)),
            ("name", statestore.fields.AnyText(unique=True)),
            ("description", statestore.fields.AnyText(null=True)),
            ("applied_at", statestore.fields.UnixSeconds()),
            ("rollback_script", statestore.fields.AnyText(null=True)),
        ],
        options={
            "db_table": "migrations",
        },
    ),
    migrations.CreateModel(
        name="Session",
        fields=[
            ("id", statestore.fields.AnyText(default=statestore.models.new_id, primary_key=True, serialize=False)),
            ("agent_id", statestore.fields.AnyText()),
            ("started_at", statestore.fields.UnixSeconds()),
            ("ended_at", statestore.fields.UnixSeconds(blank=True, null=True)),
            ("status", statestore.fields.AnyText()),
            ("metadata", statestore.fields.AnyText(blank=True, null=True)),
            ("created_at", statestore.fields.UnixSeconds(default=statestore.models.now, editable=False)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "db_table": "sessions",
        },
    ),
    migrations.CreateModel(
        name="Snapshot",
        fields=[
            ("id", statestore.fields.AnyText(default=statestore.models.new_id, primary_key=True, serialize=False)),
            ("agent_id", statestore.fields.AnyText()),
            ("state_data", statestore.fields.AnyText()),
            ("description", statestore.fields.AnyText(null=True)),
            ("created_at", statestore.fields.UnixSeconds()),
            ("expires_at", statestore.fields.UnixSeconds(null=True)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "db_table": "state_snapshots",
        },
    ),
    migrations.CreateModel(
        name="Task",
        fields=[
            ("id", statestore.fields.AnyText(default=statestore.models.new_id, primary_key=True, serialize=False)),
            ("title", statestore.fields.AnyText()),
            ("description", statestore.fields.AnyText(blank=True, null=True)),
            ("status", statestore.fields.AnyText(default="Todo")),
            ("priority", statestore.fields.AnyText(default="medium")),
            ("complexity", statestore.fields.AnyText(default="moderate")),
            ("assigned_to", statestore.fields.AnyText(blank=True, null=True)),
            ("dependencies", statestore.fields.AnyText(blank=True, default="[]", null=True)),
            ("created_at", statestore.fields.UnixSeconds()),
            ("updated_at", statestore.fields.UnixSeconds()),
            ("metadata", statestore.fields.AnyText(blank=True, null=True)),
            ("created_timestamp", statestore.fields.UnixSeconds(default=statestore.models.now, editable=False)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "db_table": "tasks",
        },
    ),
    migrations.CreateModel(
        name="Transition",
        fields=[
            ("id", statestore.fields.AnyText(default=statestore.models.new_id, primary_key=True, serialize=False)),
            ("agent_id", statestore.fields.AnyText()),
            ("state_before", statestore.fields.AnyText()),
            ("state_after", statestore.fields.AnyText()),
            ("reason", statestore.fields.AnyText(null=True)),
            ("timestamp", statestore.fields.UnixSeconds()),
            ("metadata", statestore.fields.AnyText(null=True)),
            ("rowid", statestore.fields.InsertionOrder(db_column="rowid", editable=False)),
        ],
        options={
            "db_table": "state_transitions",
        },
    ),
    migrations.CreateModel(
        name="TaskDependency",
        fields=[
            ("id", models.BigAutoField(primary_key=True, serialize=False)),
            ("created_at", statestore.fields.UnixSeconds(default=statestore.models.now)),
            (
                "depends_on",
                models.ForeignKey(
                    db_column="depends_on_task_id",
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="awaited_by",
                    to="statestore.task",
                ),
            ),
            (
                "task",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE, related_name="waits_for", to="statestore.task"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "task dependencies",
            "db_table": "task_dependencies",
        },
    ),
]


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(create_schema, drop_schema, hints={"place": "store"})],
            state_operations=MODELS,
        )
    ]
