"""Stores that users and tokens are limited to, and saved searches of one store."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("statestore", "0024_uploaded_sources"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="savedsearch",
            name="dashboard_saved_view_name",
        ),
        migrations.AddField(
            model_name="apitoken",
            name="stores",
            field=models.JSONField(help_text="The stores that it opens, of several; null for all.", null=True),
        ),
        migrations.AddField(
            model_name="savedsearch",
            name="store",
            field=models.TextField(blank=True, default="", help_text="The store that it asks, of several."),
        ),
        migrations.AddField(
            model_name="useraccess",
            name="stores",
            field=models.JSONField(
                blank=True, help_text="The stores that the user may open, of several; null for all.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="savedsearch",
            constraint=models.UniqueConstraint(fields=("user", "store", "name"), name="dashboard_saved_view_name"),
        ),
    ]
