"""Up to where stores had been written when users and tokens last wrote, for stores with a read replica."""

from django.db import migrations, models

import statestore.db.fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0025_many_stores")]

    operations = [
        migrations.CreateModel(
            name="LastWrite",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("store", models.CharField(max_length=100)),
                ("writer", models.CharField(max_length=100)),
                ("position", models.BigIntegerField()),
                ("at", statestore.db.fields.UnixSeconds()),
            ],
            options={
                "db_table": "dashboard_last_write",
                "constraints": [
                    models.UniqueConstraint(fields=("writer", "store"), name="dashboard_last_write_writer")
                ],
            },
        ),
    ]
