"""Retention: policies, holds, what housekeeping did, and the right to manage them, which administrators have."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore.db import fields

CODENAME = "manage_retention"
ROLE = "administrator"


def grant(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Give the role the permission. It is made here too: Django makes it only after all migrations."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    create_permissions(installed.get_app_config("statestore"), verbosity=0, using=using, apps=installed)
    permission = (
        apps.get_model("auth", "Permission")
        .objects.using(using)
        .get(content_type__app_label="statestore", codename=CODENAME)
    )
    role, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=ROLE)
    role.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0018_audit_chain")]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", fields.LenientText(default=fields.new_id, primary_key=True, serialize=False)),
                ("noun", models.CharField(max_length=20)),
                ("row_id", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
                ("reason", fields.LenientText(blank=True, default="")),
            ],
            options={
                "db_table": "dash_hold",
                "constraints": [models.UniqueConstraint(fields=("noun", "row_id"), name="dash_hold_row")],
            },
        ),
        migrations.CreateModel(
            name="HousekeepingRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("work", models.CharField(max_length=40)),
                ("about", fields.LenientText(blank=True, default="", help_text="The policy, or the backup.")),
                ("started_at", fields.UnixSeconds()),
                ("ended_at", fields.UnixSeconds()),
                ("rows", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("problem", fields.LenientText(blank=True, default="")),
            ],
            options={
                "db_table": "dash_run",
                "indexes": [models.Index(fields=["work", "id"], name="dash_run_work")],
            },
        ),
        migrations.CreateModel(
            name="RetentionPolicy",
            fields=[
                ("id", fields.LenientText(default=fields.new_id, primary_key=True, serialize=False)),
                (
                    "table",
                    models.CharField(
                        choices=[
                            ("snapshots", "Snapshots"),
                            ("transitions", "Transitions"),
                            ("events", "Events"),
                            ("audit log", "Audit"),
                        ],
                        db_column="kept_table",
                        max_length=20,
                    ),
                ),
                (
                    "namespace",
                    fields.LenientText(
                        help_text="Null for all that have no policy of their own; empty for none.", null=True
                    ),
                ),
                ("keep_seconds", models.BigIntegerField(help_text="Delete what is older.", null=True)),
                ("keep_count", models.BigIntegerField(help_text="Keep so many of an agent's newest.", null=True)),
                (
                    "keep_bytes",
                    models.BigIntegerField(
                        help_text="Keep an agent's newest up to so many bytes of states.", null=True
                    ),
                ),
                (
                    "is_tiered",
                    models.BooleanField(
                        default=False,
                        help_text="Keep all of a day, one an hour for a week, a day for a month, a week for a year.",
                    ),
                ),
                ("is_on", models.BooleanField(default=False)),
                ("created_at", fields.UnixSeconds()),
                ("actor", fields.LenientText()),
            ],
            options={
                "verbose_name": "retention policy",
                "verbose_name_plural": "retention policies",
                "db_table": "dash_policy",
                "permissions": [("manage_retention", "Can manage retention policies, take holds off, and archive")],
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop, hints={"place": "default"}),
    ]
