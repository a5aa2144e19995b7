"""Sessions that their users can list and end. Those of before end: who is signed in signs in once more."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import statestore.db.fields


def end_earlier_sessions(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the sessions that nothing reads any more; each was a key to its user's pages."""
    apps.get_model("sessions", "Session").objects.using(editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("statestore", "0013_user_access"),
        ("sessions", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BrowserSession",
            fields=[
                (
                    "session_key",
                    models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="session key"),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("created_at", statestore.db.fields.UnixSeconds()),
                ("used_at", statestore.db.fields.UnixSeconds()),
                ("ip_address", models.CharField(blank=True, max_length=45)),
                ("user_agent", models.CharField(blank=True, max_length=200)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="browser_sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name": "signed-in browser", "db_table": "dashboard_browser_session"},
        ),
        migrations.RunPython(end_earlier_sessions, migrations.RunPython.noop, hints={"place": "default"}),
    ]
