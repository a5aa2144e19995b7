"""The right to save states by the JSON API while restores need approval: managers and administrators have it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

CODENAME = "save_state"
ROLES = ("manager", "administrator")


def grant(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Give the roles the permission. It is made here too: Django makes it only after all migrations."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    create_permissions(installed.get_app_config("statestore"), verbosity=0, using=using, apps=installed)
    permission = (
        apps.get_model("auth", "Permission")
        .objects.using(using)
        .get(content_type__app_label="statestore", codename=CODENAME)
    )
    for name in ROLES:
        role, _ = apps.get_model("auth", "Group").objects.using(using).get_or_create(name=name)
        role.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0011_audit_as_data")]

    operations = [
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
                    ("save_state", "Can save states by the JSON API while restores need approval"),
                ],
                "verbose_name": "agent",
            },
        ),
        migrations.RunPython(grant, migrations.RunPython.noop, hints={"place": "default"}),
    ]
