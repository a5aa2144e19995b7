"""The chain of the audit log: a digest in each entry, the rows that it vouches for, and noted heads on our own side."""

from django.db import migrations, models

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0017_audit_by_person_and_action")]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="vouched",
            field=fields.LenientText(
                blank=True,
                editable=False,
                help_text="The hashes of other rows that this entry vouches for, as JSON: {kind: {id: SHA-256}}.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="digest",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="SHA-256 over the entry and the digest of the one before it; null before there was a chain.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="ChainHead",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", fields.UnixSeconds()),
                ("store", fields.LenientText(help_text="The path of the store, or the address of its database.")),
                ("entry_id", models.BigIntegerField()),
                ("digest", models.CharField(max_length=64)),
            ],
            options={
                "db_table": "dashboard_chain_head",
                "indexes": [models.Index(fields=["store", "id"], name="dashboard_chain_head_store")],
            },
        ),
    ]
