"""The audit log."""

from typing import Self

from django.db import models
from django.db.models import QuerySet

from statestore.db.fields import LenientText, UnixSeconds
from statestore.db.ids import HashedId, RowId


class AuditQuerySet(QuerySet["AuditEntry"]):
    """What people did."""

    def about(self, row_id: RowId) -> Self:
        """Keep the entries about one row; of a very long id the beginning decides."""
        if isinstance(row_id, HashedId):
            return self.filter(row_id__gte=row_id.prefix, row_id__lt=row_id.prefix + "\U0010ffff")
        return self.filter(row_id=row_id)

    def with_verb(self, verb: str) -> Self:
        return self.filter(verb=verb)

    def newest_first(self) -> Self:
        return self.order_by("-id")


class AuditEntry(models.Model):
    """Who did what, when, from where, to which row. Append-only: triggers refuse to change or delete one."""

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    actor = LenientText()
    address = LenientText(blank=True, default="", help_text="The network address that the request came from.")
    verb = models.CharField(max_length=40)
    noun = models.CharField(max_length=40, help_text="The kind of row: agent, snapshot, task …")
    row_id = LenientText()
    hash_before = models.CharField(max_length=64, blank=True, default="")
    hash_after = models.CharField(max_length=64, blank=True, default="")
    detail = LenientText(blank=True, default="", help_text="What else is worth knowing, as JSON.")

    objects = AuditQuerySet.as_manager()

    class Meta:
        db_table = "dash_audit"
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["row_id", "id"], name="dash_audit_row")]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.noun} {self.row_id}"
