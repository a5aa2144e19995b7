"""The archive: frames of compressed states, and tables for the rows whose states lie in them."""

from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0019_retention")]

    operations = [
        migrations.AlterModelOptions(name="snapshot", options={"base_manager_name": "objects"}),
        migrations.AlterModelOptions(name="transition", options={"base_manager_name": "objects"}),
        migrations.CreateModel(
            name="ArchiveSwitch",
            fields=[
                ("id", models.IntegerField(default=1, primary_key=True, serialize=False)),
                ("token", models.CharField(max_length=16)),
                ("at", fields.UnixSeconds()),
            ],
            options={"db_table": "dash_archive"},
        ),
        migrations.CreateModel(
            name="ArchiveFrame",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("agent_id", fields.LenientText()),
                ("at", fields.UnixSeconds()),
                ("states", models.IntegerField()),
                ("unpacked_bytes", models.BigIntegerField()),
                ("data", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name": "archive frame",
                "db_table": "dash_frame",
                "indexes": [models.Index(fields=["agent_id", "id"], name="dash_frame_agent")],
            },
        ),
        migrations.CreateModel(
            name="ArchivedTransition",
            fields=[
                ("id", fields.LenientText(primary_key=True, serialize=False)),
                ("agent_id", fields.LenientText()),
                ("state_before", fields.LenientText()),
                ("state_after", fields.LenientText()),
                ("reason", fields.LenientText(null=True)),
                ("timestamp", fields.UnixSeconds()),
                ("metadata", fields.LenientText(null=True)),
                ("place", models.BigIntegerField(help_text="Its order of insertion.")),
            ],
            options={
                "db_table": "dash_archived_transition",
                "indexes": [
                    models.Index(fields=["agent_id", "timestamp", "place"], name="dash_archived_transition_agent"),
                    models.Index(fields=["timestamp", "place"], name="dash_archived_transition_at"),
                    models.Index(fields=["place"], name="dash_archived_transition_place"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ArchivedSnapshot",
            fields=[
                ("id", fields.LenientText(primary_key=True, serialize=False)),
                ("agent_id", fields.LenientText()),
                ("state_data", fields.LenientText()),
                ("description", fields.LenientText(null=True)),
                ("created_at", fields.UnixSeconds()),
                ("expires_at", fields.UnixSeconds(null=True)),
                ("place", models.BigIntegerField(help_text="Its order of insertion.")),
            ],
            options={
                "db_table": "dash_archived_snapshot",
                "indexes": [
                    models.Index(fields=["agent_id", "created_at", "place"], name="dash_archived_snapshot_agent"),
                    models.Index(fields=["created_at", "place"], name="dash_archived_snapshot_at"),
                    models.Index(fields=["place"], name="dash_archived_snapshot_place"),
                ],
            },
        ),
    ]
