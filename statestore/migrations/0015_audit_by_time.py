"""The audit log by time: what people changed between two moments."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("statestore", "0014_browser_sessions")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["at", "id"], name="dash_audit_at"),
        ),
    ]
