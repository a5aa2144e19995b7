"""The audit log."""

from enum import StrEnum
from typing import Final, Self

from django.db import models
from django.db.models import QuerySet

from statestore.db.fields import LenientText, UnixSeconds
from statestore.db.ids import HashedId, RowId


class Action(StrEnum):
    """Everything that an entry can say was done."""

    CREATE = "create"
    EDIT = "edit"
    MOVE = "move"  # a task's status alone
    END = "end"
    DELETE = "delete"
    UNDELETE = "undelete"
    PURGE = "purge"
    EXPIRE = "expire"
    CHANGE = "change"
    STATUS = "status"
    SNAPSHOT = "snapshot"
    PLAN = "plan"
    APPROVE = "approve"
    RESTORE = "restore"
    UNDO = "undo"
    FORK = "fork"
    IMPORT = "import"
    CAPTURE_ON = "capture on"
    CAPTURE_OFF = "capture off"
    REVOKE = "revoke"
    PRUNE = "prune"
    SEAL = "seal"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    PARTITION = "partition"
    UNPARTITION = "unpartition"
    HOLD = "hold"
    RELEASE = "release"
    MIRROR = "mirror"
    UNMIRROR = "unmirror"
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


# Newest first; entries of one second in the order in which they were made.
BY_AUDIT_TIME: Final = ("-at", "-id")


class AuditQuerySet(QuerySet["AuditEntry"]):
    """What people did."""

    def about(self, row_id: RowId) -> Self:
        """Keep the entries about one row; of a very long id the beginning decides."""
        if isinstance(row_id, HashedId):
            return self.filter(row_id__gte=row_id.prefix, row_id__lt=row_id.prefix + "\U0010ffff")
        return self.filter(row_id=row_id)

    def with_action(self, action: str) -> Self:
        return self.filter(action=action)

    def by(self, person: str) -> Self:
        return self.filter(actor=person)

    def between(self, start: int | None, end: int | None) -> Self:
        """Keep the entries from one time to another, both included; None does not limit."""
        rows = self if start is None else self.filter(at__gte=start)
        return rows if end is None else rows.filter(at__lte=end)

    def matching(self, *, person: str = "", action: str = "", start: int | None = None, end: int | None = None) -> Self:
        """Keep the entries that pass the filters of the page and of the call; what is empty does not apply."""
        rows = self.by(person) if person else self
        return (rows.with_action(action) if action else rows).between(start, end)

    def newest_first(self) -> Self:
        return self.order_by("-id")


class AuditEntry(models.Model):
    """Who did what, when, from where, to which row. Append-only: triggers refuse to change or delete one.

    Each entry has a digest over itself and the one before it, so that a change which the triggers did not see is found
    (access/audit_chain.py).

    `before` and `after` are JSON objects of the columns that the action changed: both for an edit, `after` alone for a
    new row, `before` alone for a deleted one. The columns `verb` and `address` keep their first names: to rename a
    column SQLite parses the whole schema, and fails on a broken view of another program.
    """

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    actor = LenientText()
    ip_address = LenientText(
        blank=True, default="", db_column="address", help_text="The network address that the request came from."
    )
    action = models.CharField(max_length=40, db_column="verb")
    noun = models.CharField(max_length=40, help_text="The kind of row: agent, snapshot, task …")
    row_id = LenientText()
    hash_before = models.CharField(max_length=64, blank=True, default="")
    hash_after = models.CharField(max_length=64, blank=True, default="")
    before = LenientText(null=True, blank=True, help_text="The changed columns before, as JSON.")
    after = LenientText(null=True, blank=True, help_text="The changed columns after, as JSON.")
    reverts = models.BigIntegerField(null=True, blank=True, help_text="The id of the entry that this one undid.")
    detail = LenientText(blank=True, default="", help_text="What else is worth knowing, as JSON.")
    vouched = LenientText(
        null=True, blank=True, editable=False,
        help_text="The hashes of other rows that this entry vouches for, as JSON: {kind: {id: SHA-256}}.",
    )  # fmt: skip
    digest = models.CharField(
        max_length=64, null=True, blank=True, editable=False,
        help_text="SHA-256 over the entry and the digest of the one before it; null before there was a chain.",
    )  # fmt: skip

    objects = AuditQuerySet.as_manager()

    class Meta:
        db_table = "dash_audit"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["row_id", "id"], name="dash_audit_row"),
            models.Index(fields=["at", "id"], name="dash_audit_at"),
            # With the action in it, one person's entries of one action are found without reading their rows.
            models.Index(fields=["actor", "at", "id", "action"], name="dash_audit_actor"),
            models.Index(fields=["action", "at", "id"], name="dash_audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.noun} {self.row_id}"
