"""The time machine: plans, batches, forks, and what triggers see of changes that nobody records."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore.db import fields

DROP_SQLITE_CAPTURE = (
    "DROP TRIGGER IF EXISTS dash_capture_replace",
    "DROP TRIGGER IF EXISTS dash_capture_update",
)
DROP_POSTGRES_CAPTURE = (
    "DROP TRIGGER IF EXISTS dash_capture_update ON agent_states",
    "DROP FUNCTION IF EXISTS dash_capture_keep()",
)


def let_administrators_capture(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Give the administrators the permission that came with this migration."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    create_permissions(installed.get_app_config("statestore"), verbosity=0, using=using, apps=installed)
    permission = (
        apps.get_model("auth", "Permission")
        .objects.using(using)
        .get(content_type__app_label="statestore", codename="capture_agent")
    )
    apps.get_model("auth", "Group").objects.using(using).get(name="administrator").permissions.add(permission)


def take_capture_away(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers that an administrator may have switched on: without their table every save would fail."""
    for statement in DROP_POSTGRES_CAPTURE if editor.connection.vendor == "postgresql" else DROP_SQLITE_CAPTURE:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("statestore", "0003_roles"),
    ]

    operations = [
        migrations.AddField(
            model_name="restore",
            name="kind",
            field=models.CharField(help_text="whole, part, edit, revert or merge.", max_length=20, null=True),
        ),
        migrations.CreateModel(
            name="Fork",
            fields=[
                ("agent_id", fields.LenientText(primary_key=True, serialize=False)),
                ("parent_id", fields.LenientText()),
                ("moment", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
                ("state_hash", models.CharField(max_length=64)),
            ],
            options={
                "db_table": "dash_fork",
                "indexes": [models.Index(fields=["parent_id"], name="dash_fork_parent")],
            },
        ),
        migrations.CreateModel(
            name="SavedPlan",
            fields=[
                (
                    "id",
                    fields.LenientText(default=fields.new_id, primary_key=True, serialize=False),
                ),
                ("agent_id", fields.LenientText()),
                ("created_at", fields.UnixSeconds()),
                ("expires_at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
                ("kind", models.CharField(max_length=20)),
                ("moment", fields.LenientText()),
                ("label", fields.LenientText()),
                (
                    "state_data",
                    fields.LenientText(
                        help_text="The state to write, where it is not that of the moment as a whole.", null=True
                    ),
                ),
                (
                    "expected_etag",
                    models.CharField(help_text="The agent's row that the plan was made against.", max_length=64),
                ),
                ("hash_before", models.CharField(max_length=64)),
                ("hash_after", models.CharField(max_length=64)),
                ("approved_by", fields.LenientText(blank=True, default="")),
                ("approved_at", fields.UnixSeconds(null=True)),
            ],
            options={
                "db_table": "dash_plan",
                "indexes": [models.Index(fields=["created_at", "id"], name="dash_plan_at")],
            },
        ),
        migrations.AlterModelOptions(
            name="agentstate",
            options={
                "permissions": [
                    ("snapshot_agent", "Can take and delete snapshots"),
                    ("change_agent_status", "Can change an agent's status"),
                    ("restore_agent", "Can restore an agent and undo a restore"),
                    ("trash_agent", "Can move an agent to the trash and bring it back"),
                    ("purge_agent", "Can delete an agent from the trash for good"),
                    ("capture_agent", "Can switch the capture of changes on and off"),
                ],
                "verbose_name": "agent",
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    fields.LenientText(default=fields.new_id, primary_key=True, serialize=False),
                ),
                ("created_at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
                (
                    "moment",
                    fields.LenientText(
                        help_text="The time that the agents are put back to, in the grammar of moments.py."
                    ),
                ),
                (
                    "scope",
                    fields.LenientText(blank=True, default="", help_text="Which agents were asked for, in words."),
                ),
                ("undoes_id", fields.LenientText(help_text="The batch that this one undoes.", null=True)),
                ("approved_by", fields.LenientText(blank=True, default="")),
            ],
            options={
                "verbose_name_plural": "batches",
                "db_table": "dash_batch",
                "indexes": [models.Index(fields=["created_at", "id"], name="dash_batch_at")],
            },
        ),
        migrations.CreateModel(
            name="CapturedChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("agent_id", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("state_before", fields.LenientText(null=True)),
                ("state_after", fields.LenientText(null=True)),
            ],
            options={
                "verbose_name": "captured change",
                "db_table": "dash_capture",
                "indexes": [models.Index(fields=["agent_id", "at", "id"], name="dash_capture_agent")],
            },
        ),
        migrations.CreateModel(
            name="BatchItem",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("agent_id", fields.LenientText()),
                ("expected_etag", models.CharField(max_length=64)),
                ("moment", fields.LenientText()),
                ("result", models.CharField(blank=True, default="", help_text="Empty while it waits.", max_length=20)),
                ("note", fields.LenientText(blank=True, default="")),
                ("restore_id", fields.LenientText(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="statestore.batch"
                    ),
                ),
            ],
            options={
                "db_table": "dash_batch_item",
                "indexes": [models.Index(fields=["batch", "result", "id"], name="dash_batch_item_result")],
            },
        ),
        migrations.RunPython(let_administrators_capture, migrations.RunPython.noop, hints={"place": "default"}),
        migrations.RunPython(migrations.RunPython.noop, take_capture_away, hints={"place": "store"}),
    ]
