"""Our side tables, whose names start with `dash_`."""

from django.db import models
from django.urls import reverse

from statestore.fields import AnyText, UnixSeconds
from statestore.models.rows import new_id
from statestore.querysets import AuditQuerySet, RestoreQuerySet, TombstoneQuerySet


class Tombstone(models.Model):
    """Who moved an agent to the trash, when and why.

    An agent that has one and is not deleted was revived: its orchestrator has saved it again.
    """

    agent_id = AnyText(primary_key=True)
    at = UnixSeconds()
    actor = AnyText()
    reason = AnyText(blank=True, default="")

    objects = TombstoneQuerySet.as_manager()

    class Meta:
        db_table = "dash_tombstone"

    def __str__(self) -> str:
        return str(self.agent_id)


class Expiry(models.Model):
    """When a snapshot of ours expires, for finding those that soon do without reading every snapshot."""

    snapshot_id = AnyText(primary_key=True)
    expires_at = UnixSeconds()

    class Meta:
        db_table = "dash_expiry"
        indexes = [models.Index(fields=["expires_at"], name="dash_expiry_at")]

    def __str__(self) -> str:
        return str(self.snapshot_id)


class Restore(models.Model):
    """One restore that was applied: what was put back, over what, by whom; undone by restoring its safety snapshot."""

    id = AnyText(primary_key=True, default=new_id)
    agent_id = AnyText()
    at = UnixSeconds()
    actor = AnyText()
    reason = AnyText(blank=True, default="")
    moment = AnyText(help_text="The moment that was put back, in the grammar of moments.py.")
    hash_before = models.CharField(max_length=64, help_text="SHA-256 of the state that was overwritten.")
    hash_after = models.CharField(max_length=64, help_text="SHA-256 of the state that was written and read back.")
    safety_snapshot_id = AnyText()
    transition_id = AnyText()
    undoes_id = AnyText(null=True, help_text="The restore that this one undid.")

    objects = RestoreQuerySet.as_manager()

    class Meta:
        db_table = "dash_restore"
        indexes = [
            models.Index(fields=["at", "id"], name="dash_restore_at"),
            models.Index(fields=["agent_id", "at"], name="dash_restore_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} to {self.moment}"

    def get_absolute_url(self) -> str:
        return str(reverse("restore", args=[self.pk]))


class AuditEntry(models.Model):
    """Who did what, when, from where, to which row. Append-only: triggers refuse to change or delete one."""

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    actor = AnyText()
    address = AnyText(blank=True, default="", help_text="The network address that the request came from.")
    verb = models.CharField(max_length=40)
    noun = models.CharField(max_length=40, help_text="The kind of row: agent, snapshot, task …")
    row_id = AnyText()
    hash_before = models.CharField(max_length=64, blank=True, default="")
    hash_after = models.CharField(max_length=64, blank=True, default="")
    detail = AnyText(blank=True, default="", help_text="What else is worth knowing, as JSON.")

    objects = AuditQuerySet.as_manager()

    class Meta:
        db_table = "dash_audit"
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["row_id", "id"], name="dash_audit_row")]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.noun} {self.row_id}"


class Adoption(models.Model):
    """How the store was found when the dashboard moved in, so that `leave` can put it back exactly so."""

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    layout = models.CharField(
        max_length=40, help_text="What was found: version 4, version 5, the init layout, or nothing."
    )
    schema = AnyText(help_text="sqlite_master as it was found, as JSON.")
    journal_mode = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        db_table = "dash_adoption"

    def __str__(self) -> str:
        return self.layout
