"""Namespaces and stores that the users of a group are limited to, which administrators set."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ROLE = "administrator"
CODENAMES = [f"{verb}_groupaccess" for verb in ("add", "change", "delete", "view")]


def grant(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Let administrators set them. The permissions are made here too: Django makes them only after all migrations."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    create_permissions(installed.get_app_config("statestore"), verbosity=0, using=using, apps=installed)
    permissions = (
        apps.get_model("auth", "Permission")
        .objects.using(using)
        .filter(content_type__app_label="statestore", codename__in=CODENAMES)
    )
    role, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=ROLE)
    role.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("statestore", "0026_last_writes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="useraccess",
            name="namespaces",
            field=models.JSONField(blank=True, help_text="The namespaces that are seen; null for all.", null=True),
        ),
        migrations.AlterField(
            model_name="useraccess",
            name="stores",
            field=models.JSONField(
                blank=True, help_text="The stores that may be opened, of several; null for all.", null=True
            ),
        ),
        migrations.CreateModel(
            name="GroupAccess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "namespaces",
                    models.JSONField(blank=True, help_text="The namespaces that are seen; null for all.", null=True),
                ),
                (
                    "stores",
                    models.JSONField(
                        blank=True, help_text="The stores that may be opened, of several; null for all.", null=True
                    ),
                ),
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="access", to="auth.group"
                    ),
                ),
            ],
            options={
                "verbose_name": "access to namespaces",
                "verbose_name_plural": "access to namespaces",
                "db_table": "statestore_group_access",
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop, hints={"place": "default"}),
    ]
