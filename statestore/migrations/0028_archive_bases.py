"""Frames of the archive name a base, a state that they are compressed with."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("statestore", "0027_group_access")]

    operations = [
        migrations.AddField(
            model_name="archiveframe",
            name="base_id",
            field=models.BigIntegerField(help_text="The frame whose state the last one is compressed with.", null=True),
        ),
        migrations.AddIndex(
            model_name="archiveframe",
            index=models.Index(fields=["agent_id", "base_id"], name="dash_frame_base"),
        ),
    ]
