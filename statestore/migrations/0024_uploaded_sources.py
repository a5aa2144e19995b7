"""Sources that were uploaded: the name that the file had."""

from django.db import migrations

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0022_sources")]

    operations = [
        migrations.AddField(
            model_name="source",
            name="upload_name",
            field=fields.LenientText(blank=True, default="", help_text="What an uploaded file was called."),
        ),
    ]
