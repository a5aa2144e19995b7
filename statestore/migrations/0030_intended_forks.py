"""Forks into frameworks' stores, noted before they are written there."""

from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0029_intended_restores")]

    operations = [
        migrations.CreateModel(
            name="IntendedFork",
            fields=[
                ("id", fields.LenientText(default=fields.new_id, primary_key=True, serialize=False)),
                ("store", models.CharField(max_length=100)),
                ("source_id", models.BigIntegerField()),
                ("reader", fields.LenientText()),
                ("thread_id", fields.LenientText(help_text="The id of the new thread, as the mirror knows it.")),
                ("agent_id", fields.LenientText(help_text="The agent that is forked.")),
                ("at", fields.UnixSeconds()),
                (
                    "about",
                    fields.LenientText(help_text="The moment, the hash of its state, by whom and why, as JSON."),
                ),
            ],
            options={"db_table": "dashboard_intended_fork"},
        ),
    ]
