"""Sources: stores of other frameworks that are mirrored, and their threads."""

import django.db.models.deletion
from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0021_growth")]

    operations = [
        migrations.CreateModel(
            name="Source",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, unique=True)),
                ("path", fields.LenientText(help_text="Where the file is.")),
                (
                    "formats",
                    fields.LenientText(blank=True, default="", help_text="What it holds, as its readers call it."),
                ),
                (
                    "counts",
                    fields.LenientText(
                        blank=True, default="{}", help_text="How many there are of what it holds, as JSON."
                    ),
                ),
                (
                    "stamp",
                    fields.LenientText(
                        blank=True, default="", help_text="What the file was like when it was mirrored to its end."
                    ),
                ),
                ("created_at", fields.UnixSeconds(default=fields.now)),
                ("synced_at", fields.UnixSeconds(null=True)),
                ("problem", fields.LenientText(blank=True, default="")),
            ],
            options={"db_table": "dash_source"},
        ),
        migrations.CreateModel(
            name="SourceThread",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("reader", fields.LenientText()),
                ("thread_id", fields.LenientText()),
                ("agent_id", fields.LenientText(unique=True)),
                ("position", fields.LenientText(blank=True, default="")),
                ("last_step", fields.LenientText(blank=True, default="")),
                ("gone_at", fields.UnixSeconds(null=True)),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="threads", to="statestore.source"
                    ),
                ),
            ],
            options={
                "db_table": "dash_source_thread",
                "constraints": [
                    models.UniqueConstraint(fields=("source", "reader", "thread_id"), name="dash_source_thread_once")
                ],
            },
        ),
    ]
