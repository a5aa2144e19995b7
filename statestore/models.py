"""The tables: the orchestrator's, mapped as they are, and a few of ours whose names start with `dash_`."""

import hashlib
import time
import uuid
from typing import Any

from django.db import models
from django.urls import reverse

from statestore.fields import AnyInteger, AnyText, InsertionOrder, UnixSeconds, text_bytes
from statestore.querysets import (
    AgentQuerySet,
    AuditQuerySet,
    EventQuerySet,
    RestoreQuerySet,
    SessionQuerySet,
    SnapshotQuerySet,
    TaskQuerySet,
    TombstoneQuerySet,
    TransitionQuerySet,
)


def new_id() -> str:
    """Return a fresh random id, as the orchestrator makes them."""
    return str(uuid.uuid4())


def now() -> int:
    """Return the present in whole seconds, as the orchestrator counts time."""
    return int(time.time())


def sha256(text: str) -> str:
    """Return the hex SHA-256 of a text's stored bytes."""
    return hashlib.sha256(text_bytes(text)).hexdigest()


def same_text(one: str, other: str) -> bool:
    """Return whether two texts read from the store are the same bytes."""
    return text_bytes(one) == text_bytes(other)


def row_hash(row: models.Model) -> str:
    """Return the SHA-256 over all columns of a row, its ETag: it differs whenever anything in the row does.

    `version` and `updated_at` cannot serve: nothing bumps the one, and the other is in whole seconds.
    """
    digest = hashlib.sha256()
    for field in row._meta.concrete_fields:
        if not field.generated:
            part = _hashed_bytes(getattr(row, field.attname))
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _hashed_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return b"s" + text_bytes(value)
    return b"n" if value is None else b"i" + repr(getattr(value, "raw", value)).encode("utf-8", "surrogateescape")


class AgentStatus(models.TextChoices):
    """The words that the orchestrator uses for an agent's status; others occur."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"


class AgentState(models.Model):
    """One agent and its state now. The orchestrator replaces the whole row at each save."""

    key = AnyText(primary_key=True)
    agent_id = AnyText(unique=True)
    name = AnyText()
    status = AnyText(default=AgentStatus.IDLE)
    metadata = AnyText(default="{}")
    state_data = AnyText()
    version = AnyInteger(default=1)
    created_at = UnixSeconds()
    updated_at = UnixSeconds()
    is_deleted = AnyInteger(default=0)
    rowid = InsertionOrder()

    objects = AgentQuerySet.as_manager()

    class Meta:
        db_table = "agent_states"
        verbose_name = "agent"
        permissions = [
            ("snapshot_agent", "Can take and delete snapshots"),
            ("change_agent_status", "Can change an agent's status"),
            ("restore_agent", "Can restore an agent and undo a restore"),
            ("trash_agent", "Can move an agent to the trash and bring it back"),
            ("purge_agent", "Can delete an agent from the trash for good"),
        ]

    def __str__(self) -> str:
        return str(self.name or self.agent_id)

    def get_absolute_url(self) -> str:
        return str(reverse("agent", args=[self.agent_id]))

    @property
    def namespace(self) -> str:
        """The prefix of the key, or an empty string for an agent without one."""
        suffix = f":{self.agent_id}"
        return self.key[: -len(suffix)] if self.key != self.agent_id and self.key.endswith(suffix) else ""

    def etag(self) -> str:
        """Return the hash of the row as it is."""
        return row_hash(self)

    def state_hash(self) -> str:
        """Return the SHA-256 of the state text alone."""
        return sha256(self.state_data)


class Transition(models.Model):
    """One change of an agent's state, as it was reported. Never edited, never deleted alone."""

    id = AnyText(primary_key=True, default=new_id)
    agent_id = AnyText()
    state_before = AnyText()
    state_after = AnyText()
    reason = AnyText(null=True)
    timestamp = UnixSeconds()
    metadata = AnyText(null=True)
    rowid = InsertionOrder()

    objects = TransitionQuerySet.as_manager()

    class Meta:
        db_table = "state_transitions"

    def __str__(self) -> str:
        return str(self.reason or self.id)

    def get_absolute_url(self) -> str:
        return str(reverse("transition", args=[self.pk]))


class Snapshot(models.Model):
    """A copy of an agent's state, kept until it expires."""

    id = AnyText(primary_key=True, default=new_id)
    agent_id = AnyText()
    state_data = AnyText()
    description = AnyText(null=True)
    created_at = UnixSeconds()
    expires_at = UnixSeconds(null=True)
    rowid = InsertionOrder()

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        db_table = "state_snapshots"

    def __str__(self) -> str:
        return str(self.description or self.id)

    def get_absolute_url(self) -> str:
        return str(reverse("snapshot", args=[self.pk]))

    def is_expired(self, now: int) -> bool:
        """Return whether the snapshot's time is over at `now`."""
        return self.expires_at is not None and self.expires_at <= now


class ActorType(models.TextChoices):
    USER = "User"
    AGENT = "Agent"
    SYSTEM = "System"


class Event(models.Model):
    """Something that a user, an agent or the system said or did."""

    id = AnyText(primary_key=True, default=new_id)
    event_type = AnyText()
    timestamp = UnixSeconds()
    session_id = AnyText()
    actor_type = AnyText()
    actor_id = AnyText()
    content = AnyText()
    metadata = AnyText(null=True)
    git_commit = AnyText(null=True)
    created_at = UnixSeconds(default=now)
    rowid = InsertionOrder()

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "events"

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"


class TaskStatus(models.TextChoices):
    TODO = "Todo"
    IN_PROGRESS = "InProgress", "In progress"
    DONE = "Done"
    BLOCKED = "Blocked"


class TaskPriority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TaskComplexity(models.TextChoices):
    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"
    EPIC = "epic"


class Task(models.Model):
    """A piece of work for agents. Its dependencies stand in its own JSON array and, as edges, in task_dependencies."""

    id = AnyText(primary_key=True, default=new_id)
    title = AnyText()
    description = AnyText(null=True, blank=True)
    status = AnyText(default=TaskStatus.TODO)
    priority = AnyText(default=TaskPriority.MEDIUM)
    complexity = AnyText(default=TaskComplexity.MODERATE)
    assigned_to = AnyText(null=True, blank=True)
    dependencies = AnyText(null=True, blank=True, default="[]")
    created_at = UnixSeconds()
    updated_at = UnixSeconds()
    metadata = AnyText(null=True, blank=True)
    created_timestamp = UnixSeconds(editable=False, default=now)
    rowid = InsertionOrder()

    objects = TaskQuerySet.as_manager()

    class Meta:
        db_table = "tasks"

    def __str__(self) -> str:
        return str(self.title)


class TaskDependency(models.Model):
    """An edge: one task waits for another. The orchestrator's saves may cascade edges away."""

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, models.CASCADE, related_name="waits_for")
    depends_on = models.ForeignKey(Task, models.CASCADE, db_column="depends_on_task_id", related_name="awaited_by")
    created_at = UnixSeconds(default=now)

    class Meta:
        db_table = "task_dependencies"
        verbose_name_plural = "task dependencies"

    def __str__(self) -> str:
        return f"{self.task_id} waits for {self.depends_on_id}"


class Session(models.Model):
    """A stretch of work of one agent."""

    id = AnyText(primary_key=True, default=new_id)
    agent_id = AnyText()
    started_at = UnixSeconds()
    ended_at = UnixSeconds(null=True, blank=True)
    status = AnyText()
    metadata = AnyText(null=True, blank=True)
    created_at = UnixSeconds(editable=False, default=now)
    rowid = InsertionOrder()

    objects = SessionQuerySet.as_manager()

    class Meta:
        db_table = "sessions"

    def __str__(self) -> str:
        return str(self.id)


class OrchestratorMigration(models.Model):
    """One of the orchestrator's own schema migrations that the file has seen."""

    version = AnyInteger(primary_key=True)
    name = AnyText(unique=True)
    description = AnyText(null=True)
    applied_at = UnixSeconds()
    rollback_script = AnyText(null=True)

    class Meta:
        db_table = "migrations"

    def __str__(self) -> str:
        return f"{self.version} {self.name}"


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
