"""Restores into frameworks' stores, noted before they are written there."""

from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0028_archive_bases")]

    operations = [
        migrations.CreateModel(
            name="IntendedRestore",
            fields=[
                ("id", fields.LenientText(help_text="The id of the restore.", primary_key=True, serialize=False)),
                ("store", models.CharField(max_length=100)),
                ("agent_id", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("position", fields.LenientText(help_text="The position of the thread before it.")),
                ("last_step", fields.LenientText(help_text="The last step of the thread before it.")),
                (
                    "plan",
                    fields.LenientText(help_text="What was planned, and what is noted of the write, as JSON."),
                ),
            ],
            options={"db_table": "dashboard_intended_restore"},
        ),
    ]
