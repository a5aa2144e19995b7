"""The archive: frames of compressed states, and the rows whose states lie in them."""

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds


class ArchiveSwitch(models.Model):
    """One row once anything was archived: the word by which a marker is told from a text of an agent's."""

    id = models.IntegerField(primary_key=True, default=1)
    token = models.CharField(max_length=16)
    at = UnixSeconds()

    class Meta:
        db_table = "dash_archive"

    def __str__(self) -> str:
        return "archive"


class ArchiveFrame(models.Model):
    """States of one agent, each compressed with the one before it as dictionary (db/archive.py)."""

    id = models.BigAutoField(primary_key=True)
    agent_id = LenientText()
    at = UnixSeconds()
    states = models.IntegerField()
    unpacked_bytes = models.BigIntegerField()
    data = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        db_table = "dash_frame"
        verbose_name = "archive frame"
        indexes = [models.Index(fields=["agent_id", "id"], name="dash_frame_agent")]

    def __str__(self) -> str:
        return f"archive frame {self.pk}"


class ArchivedTransition(models.Model):
    """A transition that was moved here; markers stand for its states. It is read as a Transition."""

    id = LenientText(primary_key=True)
    agent_id = LenientText()
    state_before = LenientText()
    state_after = LenientText()
    reason = LenientText(null=True)
    timestamp = UnixSeconds()
    metadata = LenientText(null=True)
    place = models.BigIntegerField(help_text="Its order of insertion.")

    class Meta:
        db_table = "dash_archived_transition"
        indexes = [
            models.Index(fields=["agent_id", "timestamp", "place"], name="dash_archived_transition_agent"),
            models.Index(fields=["timestamp", "place"], name="dash_archived_transition_at"),
            models.Index(fields=["place"], name="dash_archived_transition_place"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ArchivedSnapshot(models.Model):
    """A snapshot that was moved here; a marker stands for its state. It is read as a Snapshot."""

    id = LenientText(primary_key=True)
    agent_id = LenientText()
    state_data = LenientText()
    description = LenientText(null=True)
    created_at = UnixSeconds()
    expires_at = UnixSeconds(null=True)
    place = models.BigIntegerField(help_text="Its order of insertion.")

    class Meta:
        db_table = "dash_archived_snapshot"
        indexes = [
            models.Index(fields=["agent_id", "created_at", "place"], name="dash_archived_snapshot_agent"),
            models.Index(fields=["created_at", "place"], name="dash_archived_snapshot_at"),
            models.Index(fields=["place"], name="dash_archived_snapshot_place"),
        ]

    def __str__(self) -> str:
        return str(self.id)
