"""Growth: samples of how many rows and bytes there are."""

from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0020_archive")]

    operations = [
        migrations.CreateModel(
            name="Sample",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", fields.UnixSeconds()),
                ("kind", models.CharField(max_length=20)),
                ("name", fields.LenientText()),
                ("rows", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "dash_sample",
                "indexes": [
                    models.Index(fields=["kind", "at"], name="dash_sample_at"),
                    models.Index(fields=["kind", "name", "at"], name="dash_sample_name"),
                ],
            },
        ),
    ]
