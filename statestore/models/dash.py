"""Our side tables, whose names start with `dash_`."""

from typing import ClassVar

from django.db import models
from django.urls import reverse

from statestore.fields import AnyText, UnixSeconds
from statestore.models.orchestrator import Transition
from statestore.models.rows import new_id
from statestore.querysets import (
    AuditQuerySet,
    BatchItemQuerySet,
    BatchQuerySet,
    CapturedQuerySet,
    PlanQuerySet,
    RestoreQuerySet,
    TombstoneQuerySet,
)


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
    kind = models.CharField(max_length=20, null=True, help_text="whole, part, edit, revert or merge.")

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


class Plan(models.Model):
    """A restore that somebody prepared: applied at most once, under this id, while the agent's row is as it was."""

    id = AnyText(primary_key=True, default=new_id)
    agent_id = AnyText()
    created_at = UnixSeconds()
    expires_at = UnixSeconds()
    actor = AnyText()
    reason = AnyText(blank=True, default="")
    kind = models.CharField(max_length=20)
    moment = AnyText()
    label = AnyText()
    state_data = AnyText(null=True, help_text="The state to write, where it is not that of the moment as a whole.")
    expected_etag = models.CharField(max_length=64, help_text="The agent's row that the plan was made against.")
    hash_before = models.CharField(max_length=64)
    hash_after = models.CharField(max_length=64)
    approved_by = AnyText(blank=True, default="")
    approved_at = UnixSeconds(null=True)

    objects = PlanQuerySet.as_manager()

    class Meta:
        db_table = "dash_plan"
        indexes = [models.Index(fields=["created_at", "id"], name="dash_plan_at")]

    def __str__(self) -> str:
        return f"{self.agent_id} to {self.label}"

    def get_absolute_url(self) -> str:
        return str(reverse("restore", args=[self.pk]))

    def is_expired(self, now: int) -> bool:
        """Return whether the plan's day is over at `now`."""
        return int(self.expires_at) <= now


class Fork(models.Model):
    """From which agent, and which moment of it, an agent was made."""

    agent_id = AnyText(primary_key=True)
    parent_id = AnyText()
    moment = AnyText()
    at = UnixSeconds()
    actor = AnyText()
    reason = AnyText(blank=True, default="")
    state_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "dash_fork"
        indexes = [models.Index(fields=["parent_id"], name="dash_fork_parent")]

    def __str__(self) -> str:
        return f"{self.agent_id} from {self.parent_id}"


class Batch(models.Model):
    """One restore of many agents to the same time: prepared, applied agent by agent, undone as one."""

    id = AnyText(primary_key=True, default=new_id)
    created_at = UnixSeconds()
    actor = AnyText()
    reason = AnyText(blank=True, default="")
    moment = AnyText(help_text="The time that the agents are put back to, in the grammar of moments.py.")
    scope = AnyText(blank=True, default="", help_text="Which agents were asked for, in words.")
    undoes_id = AnyText(null=True, help_text="The batch that this one undoes.")
    approved_by = AnyText(blank=True, default="")

    objects = BatchQuerySet.as_manager()

    class Meta:
        db_table = "dash_batch"
        verbose_name_plural = "batches"
        indexes = [models.Index(fields=["created_at", "id"], name="dash_batch_at")]

    def __str__(self) -> str:
        return f"{self.scope or 'agents'} to {self.moment}"

    def get_absolute_url(self) -> str:
        return str(reverse("batch", args=[self.pk]))


class BatchItem(models.Model):
    """One agent of a batch: the row that the batch was made against, and what became of it."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items")
    agent_id = AnyText()
    expected_etag = models.CharField(max_length=64)
    moment = AnyText()
    result = models.CharField(max_length=20, blank=True, default="", help_text="Empty while it waits.")
    note = AnyText(blank=True, default="")
    restore_id = AnyText(null=True)

    objects = BatchItemQuerySet.as_manager()

    class Meta:
        db_table = "dash_batch_item"
        indexes = [models.Index(fields=["batch", "result", "id"], name="dash_batch_item_result")]

    def __str__(self) -> str:
        return f"{self.agent_id} {self.result or 'waiting'}"


class Captured(models.Model):
    """A change of an agent's state that a trigger saw, whoever made it. A state that was too long is not kept."""

    PREFIX: ClassVar = "captured:"

    id = models.BigAutoField(primary_key=True)
    agent_id = AnyText()
    at = UnixSeconds()
    state_before = AnyText(null=True)
    state_after = AnyText(null=True)

    objects = CapturedQuerySet.as_manager()

    class Meta:
        db_table = "dash_capture"
        verbose_name = "captured change"
        indexes = [models.Index(fields=["agent_id", "at", "id"], name="dash_capture_agent")]

    def __str__(self) -> str:
        return "captured change"

    def get_absolute_url(self) -> str:
        return str(reverse("transition", args=[f"{self.PREFIX}{self.pk}"]))

    def as_transition(self) -> "Transition":
        """Return the change as the transition that nobody recorded; it cannot be saved."""
        return Transition(
            id=f"{self.PREFIX}{self.pk}", agent_id=self.agent_id, state_before=self.state_before,
            state_after=self.state_after, reason=None, timestamp=self.at, rowid=self.pk,
        )  # fmt: skip


class KeptAnswer(models.Model):
    """What a call with an Idempotency-Key was answered, kept for a day in the transaction that did what it asked for.

    A call of several transactions takes the key first: then `status` is 0, and others wait until `busy_until`.

    It lies beside what it speaks of: in our own database it could be kept and the write lost, or the other way round.
    """

    id = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of who called, and the key.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    status = models.IntegerField(default=0)
    headers = AnyText(default="{}")
    body = AnyText(default="")
    expires_at = UnixSeconds()
    busy_until = UnixSeconds(default=0)

    class Meta:
        db_table = "dash_kept_answer"
        indexes = [models.Index(fields=["expires_at"], name="dash_kept_answer_at")]

    def __str__(self) -> str:
        return self.id


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
