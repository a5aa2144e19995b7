"""The archive: frames of compressed states, and the rows whose states lie in them."""

from typing import ClassVar, NamedTuple

from django.db import models
from django.db.models import QuerySet, Sum

from statestore.db import vendor
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


class FrameBytes(NamedTuple):
    """The bytes of the states in frames, before and after compression."""

    states: int
    frames: int


class FrameQuerySet(QuerySet["ArchiveFrame"]):
    """Frames of the archive."""

    def bytes(self) -> FrameBytes:
        """Return what the frames take, and what their states would take; the frames themselves are not read."""
        sums = self.aggregate(states=Sum("unpacked_bytes"), frames=Sum(vendor.byte_length("data")))
        return FrameBytes(int(sums["states"] or 0), int(sums["frames"] or 0))


class ArchiveFrame(models.Model):
    """States of one agent, each compressed with the one after it as dictionary (db/archive.py).

    A base is a frame, too: its one state is no record's, and other frames name it.
    """

    # The data say which base they need; the column, by which bases are found, came after the first frames were hashed.
    UNHASHED: ClassVar[frozenset[str]] = frozenset({"base_id"})

    id = models.BigAutoField(primary_key=True)
    agent_id = LenientText()
    at = UnixSeconds()
    states = models.IntegerField()
    unpacked_bytes = models.BigIntegerField()
    data = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    base_id = models.BigIntegerField(null=True, help_text="The frame whose state the last one is compressed with.")

    objects = FrameQuerySet.as_manager()

    class Meta:
        db_table = "dash_frame"
        verbose_name = "archive frame"
        indexes = [
            models.Index(fields=["agent_id", "id"], name="dash_frame_agent"),
            models.Index(fields=["agent_id", "base_id"], name="dash_frame_base"),
        ]

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
