"""Agents, their states now, and those in the trash."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Final, Self

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat
from django.db.models.lookups import GreaterThanOrEqual

from statestore.db import vendor
from statestore.db.counts import key_prefixes
from statestore.db.fields import InsertionOrder, LenientInteger, LenientText, UnixSeconds
from statestore.db.ids import url_of
from statestore.models.querysets import BY_TIME, AddressedQuerySet
from statestore.models.rows import row_hash, sha256
from statestore.models.transitions import Transition
from statestore.text.natural_order import natural


class AgentStatus(models.TextChoices):
    """The words that the orchestrator uses for an agent's status, in the order of a life; others occur."""

    IDLE = "idle"
    INITIALIZING = "initializing"
    RUNNING = "running"
    THINKING = "thinking"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    TERMINATED = "terminated"


# An active agent works: it is expected to change, and may write its memory over what was restored.
ACTIVE: Final = frozenset({AgentStatus.INITIALIZING.value, AgentStatus.RUNNING.value, AgentStatus.THINKING.value})


# How many of the words that are not the orchestrator's are listed.
OTHER_STATUSES: Final = 10


class AgentQuerySet(AddressedQuerySet["AgentState"]):
    """Agents and their states."""

    def alive(self) -> Self:
        return self.filter(is_deleted=0)

    def in_trash(self) -> Self:
        return self.exclude(is_deleted=0)

    def with_status(self, status: str) -> Self:
        return self.filter(status=status)

    def walked(self) -> Self:
        """Keep agents that are not in the trash, in a form for which SQLite walks our own index and reads no states.

        It would choose the orchestrator's index of times, which has no names, and read each row; see the migrations.
        """
        return self.alias(in_trash=vendor.unindexed("is_deleted")).filter(in_trash=0)

    def walked_with_status(self, *statuses: str) -> Self:
        """Keep agents with one of some statuses while walking; the index of statuses would have to be sorted first."""
        return self.alias(word=vendor.unindexed("status")).filter(word__in=statuses)

    def in_namespace(self, prefix: str) -> Self:
        """Keep agents whose key is the prefix, a colon and their id; an empty prefix keeps those without one."""
        return self.filter(_in_namespace(prefix))

    def in_namespaces(self, prefixes: Iterable[str]) -> Self:
        """Keep agents of any of some namespaces."""
        wanted = [_in_namespace(prefix) for prefix in prefixes]
        return self.filter(reduce(or_, wanted)) if wanted else self.none()

    def namespaces(self, limit: int = 50) -> list[str]:
        """Return the prefixes that occur, in order, each found by one step through the index of keys."""
        return sorted(key_prefixes(self.db, limit), key=natural)

    def matching(self, text: str) -> Self:
        """Keep agents with the text anywhere in id or name; ASCII letters match in either case."""
        return self.filter(Q(agent_id__icontains=text) | Q(name__icontains=text)) if text else self

    def called(self, name: str) -> Self:
        """Keep agents with a name; ASCII letters match in either case."""
        return self.filter(name__iexact=name)

    def without_state(self) -> Self:
        return self.defer("state_data", "metadata")

    def with_size(self) -> Self:
        """Add `size`, the bytes of the state."""
        return self.annotate(size=vendor.byte_length("state_data"))

    def with_last_reason(self) -> Self:
        """Add `last_reason`, the reason of the newest transition, which is never archived."""
        newest = Transition.objects.live().filter(agent_id=OuterRef("agent_id")).order_by(*BY_TIME)
        return self.annotate(last_reason=Subquery(newest.values("reason")[:1]))

    def silent_since(self, seconds: int) -> Self:
        """Keep active agents that have not changed since a time."""
        return self.walked_with_status(*sorted(ACTIVE)).filter(updated_at__lte=seconds)

    def etags(self, agent_ids: set[str], *, max_bytes: int) -> dict[str, str]:
        """Return the etags of those of the agents whose states are small enough to be hashed for a list."""
        agents = self.filter(agent_id__in=agent_ids)
        small = agents.filter(GreaterThanOrEqual(Value(max_bytes), vendor.byte_length("state_data")))
        return {agent.agent_id: agent.etag() for agent in small}

    def counts_by_status(self) -> dict[str, int]:
        """Return the number of agents for each status that occurs."""
        return dict(self.order_by().values_list("status").annotate(number=Count("*")))


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (status, count) of every status of the orchestrator's in its order, then others, the most frequent first.

    There are at most ten others: agents write any word.
    """
    known = [(word, counts.get(word, 0)) for word in AgentStatus.values]
    others = [(word, count) for word, count in counts.items() if word not in AgentStatus.values]
    return known + sorted(others, key=lambda pair: -pair[1])[:OTHER_STATUSES]


class AgentState(models.Model):
    """One agent and its state now. The orchestrator replaces the whole row at each save."""

    key = LenientText(primary_key=True)
    agent_id = LenientText(unique=True)
    name = LenientText()
    status = LenientText(default=AgentStatus.IDLE.value)
    metadata = LenientText(default="{}")
    state_data = LenientText()
    version = LenientInteger(default=1)
    created_at = UnixSeconds()
    updated_at = UnixSeconds()
    is_deleted = LenientInteger(default=0)
    rowid = InsertionOrder()

    # Whether this only stands for a row that the orchestrator deleted.
    is_gone: bool = False

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
            ("save_state", "Can save states by the JSON API while restores need approval"),
        ]

    def __str__(self) -> str:
        return str(self.name or self.agent_id)

    def get_absolute_url(self) -> str:
        return url_of("agent", self.agent_id)

    @classmethod
    def gone(cls, agent_id: str, *, state_data: str = "", updated_at: int = 0) -> Self:
        """Return what stands for the row of an agent that the orchestrator deleted. It is never saved."""
        agent = cls(
            key=agent_id, agent_id=agent_id, name=agent_id, status="deleted", state_data=state_data,
            created_at=updated_at, updated_at=updated_at,
        )  # fmt: skip
        agent.is_gone = True
        return agent

    @property
    def namespace(self) -> str:
        """The prefix of the key, or an empty string for an agent without one."""
        suffix = f":{self.agent_id}"
        return self.key[: -len(suffix)] if self.key != self.agent_id and self.key.endswith(suffix) else ""

    @property
    def is_active(self) -> bool:
        """Whether the agent works, and may write its memory over a restored state."""
        return self.status in ACTIVE

    def etag(self) -> str:
        """Return the row's ETag."""
        return row_hash(self)

    def state_hash(self) -> str:
        """Return the SHA-256 of the state text alone."""
        return sha256(self.state_data)


class TombstoneQuerySet(QuerySet["Tombstone"]):
    """Agents that were moved to the trash."""

    def revived(self) -> Self:
        """Keep those whose agent was saved again by its orchestrator, and is out of the trash."""
        return self.filter(Exists(AgentState.objects.filter(agent_id=OuterRef("agent_id"), is_deleted=0)))


class Tombstone(models.Model):
    """Who moved an agent to the trash, when and why.

    An agent that has one and is not deleted was revived: its orchestrator has saved it again.
    """

    agent_id = LenientText(primary_key=True)
    at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")

    objects = TombstoneQuerySet.as_manager()

    class Meta:
        db_table = "dash_tombstone"

    def __str__(self) -> str:
        return str(self.agent_id)


def _in_namespace(prefix: str) -> Q:
    if not prefix:
        return Q(key=F("agent_id"))
    begins = f"{prefix}:"
    # The beginning first: it costs less, and most of other agents fail it.
    return Q(key__startswith=begins) & Q(key=Concat(Value(begins), "agent_id", output_field=LenientText()))
