"""Snapshots: kept copies of states, and when they expire."""

from typing import Final, Self

from django.db import models
from django.db.models import OuterRef

from statestore.db import archive
from statestore.db.fields import InsertionOrder, LenientText, StateText, UnixSeconds
from statestore.db.ids import url_of
from statestore.models.querysets import BY_CREATION, ArchivedModel, ArchivedQuerySet, newer, older
from statestore.models.rows import new_id


class SnapshotQuerySet(ArchivedQuerySet["Snapshot"]):
    """Kept copies of states."""

    def of_agent(self, agent_id: str | OuterRef) -> Self:
        return self.filter(agent_id=agent_id)

    def newest_first(self) -> Self:
        return self.order_by(*BY_CREATION)

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "rowid")

    def earlier_than(self, at: int) -> Self:
        return self.filter(created_at__lt=at)

    def until(self, seconds: int) -> Self:
        return self.filter(created_at__lte=seconds)

    def later_than(self, seconds: int) -> Self:
        return self.filter(created_at__gt=seconds)

    def older_than(self, at: int, rowid: int) -> Self:
        """Keep those before a time and insertion order."""
        return older(self, "created_at", at, rowid)

    def newer_than(self, at: int, rowid: int) -> Self:
        return newer(self, "created_at", at, rowid)

    def without_state(self) -> Self:
        return self.defer("state_data")

    def with_size(self) -> Self:
        return self.annotate(size=archive.state_length("state_data"))

    def described(self, text: str) -> Self:
        """Keep those with the text in their description; ASCII letters match in either case."""
        return self.filter(description__holds=text)

    def expiring_between(self, start: int, end: int) -> Self:
        """Keep those that our own table of expiries names: the snapshots' own column has no index."""
        due = SnapshotExpiry.objects.filter(expires_at__gt=start, expires_at__lte=end).order_by("expires_at")
        return self.filter(pk__in=due.values("snapshot_id"))

    def expired(self, now: int) -> Self:
        return self.filter(expires_at__lte=now)


# A restore keeps the outgoing state under a description that begins so.
SAFETY_DESCRIPTION: Final = "Safety snapshot before"


class Snapshot(ArchivedModel):
    """A copy of an agent's state, kept until it expires."""

    id = LenientText(primary_key=True, default=new_id)
    agent_id = LenientText()
    state_data = StateText()
    description = LenientText(null=True)
    created_at = UnixSeconds()
    expires_at = UnixSeconds(null=True)
    rowid = InsertionOrder()

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        db_table = "state_snapshots"

    def __str__(self) -> str:
        return str(self.description or self.id)

    def get_absolute_url(self) -> str:
        return url_of("snapshot", self.pk)

    @property
    def is_safety(self) -> bool:
        """Whether a restore took it of the state that it overwrote."""
        return str(self.description or "").startswith(SAFETY_DESCRIPTION)

    def is_expired(self, now: int) -> bool:
        """Return whether the snapshot has expired at `now`."""
        return self.expires_at is not None and self.expires_at <= now


class SnapshotExpiry(models.Model):
    """The expiry of a snapshot of ours, to find expired ones without reading every snapshot."""

    snapshot_id = LenientText(primary_key=True)
    expires_at = UnixSeconds()

    class Meta:
        db_table = "dash_expiry"
        indexes = [models.Index(fields=["expires_at"], name="dash_expiry_at")]

    def __str__(self) -> str:
        return str(self.snapshot_id)
