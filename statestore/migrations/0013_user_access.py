"""Users limited to namespaces, which administrators set; and tokens that may approve."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ROLE = "administrator"
CODENAMES = [f"{verb}_useraccess" for verb in ("add", "change", "delete", "view")]


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
        ("statestore", "0012_save_state"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UserAccess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "namespaces",
                    models.JSONField(
                        blank=True,
                        help_text="The namespaces that the user sees; null for the whole store.",
                        null=True,
                    ),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "access to namespaces",
                "verbose_name_plural": "access to namespaces",
                "db_table": "statestore_user_access",
            },
        ),
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=models.CharField(
                help_text="Of read, write, restore, approve and admin, apart by spaces.", max_length=60
            ),
        ),
        migrations.RunPython(grant, migrations.RunPython.noop, hints={"place": "default"}),
    ]
