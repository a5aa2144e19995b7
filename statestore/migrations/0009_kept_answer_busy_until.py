"""Until when a call of several transactions has its Idempotency-Key to itself."""

from django.db import migrations

from statestore.db import fields


class Migration(migrations.Migration):
    dependencies = [("statestore", "0008_stored_as")]

    operations = [
        migrations.AddField(model_name="idempotentresponse", name="busy_until", field=fields.UnixSeconds(default=0))
    ]
