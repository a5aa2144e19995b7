"""The status that a restore sets beside the state, and the one it replaced."""

from django.db import migrations

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0015_audit_by_time")]

    operations = [
        migrations.AddField(
            model_name="restore",
            name="status_after",
            field=fields.LenientText(help_text="The status that was set, where the restore changed it.", null=True),
        ),
        migrations.AddField(
            model_name="restore",
            name="status_before",
            field=fields.LenientText(help_text="The agent's status before, where the restore changed it.", null=True),
        ),
        migrations.AddField(
            model_name="savedplan",
            name="status",
            field=fields.LenientText(blank=True, default="", help_text="The status to set, or empty to leave it."),
        ),
    ]
