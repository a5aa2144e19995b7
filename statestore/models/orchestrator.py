"""The orchestrator's tables, mapped as they are."""

from django.db import models
from django.urls import reverse

from statestore.fields import AnyInteger, AnyText, InsertionOrder, UnixSeconds
from statestore.models.rows import new_id, now, row_hash, sha256
from statestore.querysets import (
    AgentQuerySet,
    EventQuerySet,
    SessionQuerySet,
    SnapshotQuerySet,
    TaskQuerySet,
    TransitionQuerySet,
)


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
            ("capture_agent", "Can switch the capture of changes on and off"),
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
        return "captured change" if self.is_captured else str(self.reason or self.id)

    def get_absolute_url(self) -> str:
        return str(reverse("transition", args=[self.pk]))

    @property
    def is_captured(self) -> bool:
        """Whether a trigger of ours saw the change, and nobody recorded it."""
        return self._state.adding and str(self.pk).startswith("captured:")


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

    def get_absolute_url(self) -> str:
        return str(reverse("event", args=[self.pk]))


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

    def get_absolute_url(self) -> str:
        return str(reverse("task", args=[self.pk]))


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

    def get_absolute_url(self) -> str:
        return str(reverse("session", args=[self.pk]))


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
