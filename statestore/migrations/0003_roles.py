"""Roles as groups: viewer, operator, manager, administrator. Each may do what the one before it may, and more."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

OPERATE = ["snapshot_agent", "change_agent_status", "restore_agent", "trash_agent"]
MANAGE = [
    *(f"{verb}_{noun}" for verb in ("add", "change", "delete") for noun in ("task", "session", "taskdependency")),
    "purge_agent",
]
SEEN = [
    "agentstate", "transition", "snapshot", "event", "task", "taskdependency", "session", "restore", "auditentry",
    "tombstone",
]  # fmt: skip
VIEW = [f"view_{noun}" for noun in SEEN]
ADMINISTER = [f"{verb}_{noun}" for verb in ("add", "change", "delete", "view") for noun in ("user", "group")]
ROLES = {
    "viewer": VIEW,
    "operator": VIEW + OPERATE,
    "manager": VIEW + OPERATE + MANAGE,
    "administrator": VIEW + OPERATE + MANAGE + ADMINISTER,
}


def create_roles(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the groups. Their permissions are made here too: Django makes them only after all migrations."""
    from django.apps import apps as installed
    from django.contrib.auth.management import create_permissions

    using = editor.connection.alias
    for label in ("auth", "statestore"):
        create_permissions(installed.get_app_config(label), verbosity=0, using=using, apps=installed)
    group = apps.get_model("auth", "Group")
    permission = apps.get_model("auth", "Permission")
    for name, codenames in ROLES.items():
        role, _ = group.objects.using(using).get_or_create(name=name)
        granted = permission.objects.using(using).filter(
            content_type__app_label__in=["statestore", "auth"], codename__in=codenames
        )
        role.permissions.add(*granted)


def delete_roles(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the groups that were made here."""
    apps.get_model("auth", "Group").objects.using(editor.connection.alias).filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("statestore", "0002_side_tables"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(create_roles, delete_roles, hints={"place": "default"})]
