"""The store as adoption found it, and the orchestrator's migrations that it has seen."""

from django.db import models

from statestore.db.fields import LenientInteger, LenientText, UnixSeconds


class Adoption(models.Model):
    """The store as adoption found it, so that `leave` can restore it exactly."""

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    layout = models.CharField(
        max_length=40, help_text="What was found: version 4, version 5, the init layout, or nothing."
    )
    schema = LenientText(help_text="sqlite_master as it was found, as JSON.")
    journal_mode = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        db_table = "dash_adoption"

    def __str__(self) -> str:
        return self.layout


class OrchestratorMigration(models.Model):
    """One of the orchestrator's own schema migrations that the file has seen."""

    version = LenientInteger(primary_key=True)
    name = LenientText(unique=True)
    description = LenientText(null=True)
    applied_at = UnixSeconds()
    rollback_script = LenientText(null=True)

    class Meta:
        db_table = "migrations"

    def __str__(self) -> str:
        return f"{self.version} {self.name}"
