"""What the JSON API needs: tokens beside the users, kept answers beside what they speak of, and who may do what."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore.db import fields

GRANTED = {
    "operator": ["ingest"],
    "manager": ["ingest"],
    "administrator": ["ingest", "import_store", "view_apitoken", "change_apitoken"],
}


def grant(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Let operators do as an orchestrator does, and administrators import and see everybody's tokens."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    create_permissions(installed.get_app_config("statestore"), verbosity=0, using=using, apps=installed)
    group = apps.get_model("auth", "Group")
    permission = apps.get_model("auth", "Permission")
    for name, codenames in GRANTED.items():
        role, _ = group.objects.using(using).get_or_create(name=name)
        role.permissions.add(
            *permission.objects.using(using).filter(content_type__app_label="statestore", codename__in=codenames)
        )


class Migration(migrations.Migration):
    dependencies = [
        ("statestore", "0006_saved_views"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("public_id", models.CharField(max_length=16, unique=True)),
                ("name", models.CharField(max_length=100)),
                ("digest", models.CharField(max_length=64)),
                (
                    "scopes",
                    models.CharField(help_text="Of read, write, restore and admin, apart by spaces.", max_length=60),
                ),
                (
                    "namespaces",
                    models.JSONField(help_text="The namespaces that it sees; null for all.", null=True),
                ),
                ("created_at", fields.UnixSeconds()),
                ("expires_at", fields.UnixSeconds()),
                ("last_used_at", fields.UnixSeconds(null=True)),
                ("revoked_at", fields.UnixSeconds(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "statestore_token",
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("ingest", "Can save states, transitions and events as an orchestrator does"),
                    ("import_store", "Can import rows over those that are there"),
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotentResponse",
            fields=[
                (
                    "id",
                    models.CharField(
                        help_text="SHA-256 of who called, and the key.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("fingerprint", models.CharField(help_text="SHA-256 of what was asked.", max_length=64)),
                ("status", models.IntegerField(default=0)),
                ("headers", fields.LenientText(default="{}")),
                ("body", fields.LenientText(default="")),
                ("expires_at", fields.UnixSeconds()),
            ],
            options={
                "db_table": "dash_kept_answer",
                "indexes": [models.Index(fields=["expires_at"], name="dash_kept_answer_at")],
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop, hints={"place": "default"}),
    ]
