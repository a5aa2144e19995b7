"""The audit log by person and by action: a filter that few entries pass read all of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("statestore", "0016_status_of_restores")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["actor", "at", "id", "action"], name="dash_audit_actor"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["action", "at", "id"], name="dash_audit_action"),
        ),
    ]
