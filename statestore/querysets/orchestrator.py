"""Clauses over the orchestrator's tables."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Self

from django.db.models import (
    Count,
    F,
    OuterRef,
    Q,
    Subquery,
    Value,
)
from django.db.models.functions import Concat, Substr
from django.db.models.lookups import GreaterThanOrEqual

from statestore import dialect
from statestore.fields import AnyText
from statestore.querysets.common import (
    BY_CHANGE,
    BY_CREATION,
    BY_TIME,
    DAY_SECONDS,
    HOUR_SECONDS,
    AddressedQuerySet,
    hourly,
    newer,
    older,
)

if TYPE_CHECKING:
    from statestore import models


class AgentQuerySet(AddressedQuerySet["models.AgentState"]):
    """Agents and their states."""

    def alive(self) -> Self:
        return self.filter(is_deleted=0)

    def in_trash(self) -> Self:
        return self.exclude(is_deleted=0)

    def with_status(self, status: str) -> Self:
        return self.filter(status=status)

    def walked(self) -> Self:
        """Keep agents that are not in the trash, in a form for which SQLite walks our own index and reads no states.

        It would choose the orchestrator's index of times, which has no names, and read each row; see schema.py.
        """
        return self.alias(in_trash=dialect.unindexed("is_deleted")).filter(in_trash=0)

    def walked_with_status(self, status: str) -> Self:
        """Keep agents with a status while walking; the index of statuses would have to be sorted first."""
        return self.alias(word=dialect.unindexed("status")).filter(word=status)

    def in_namespace(self, prefix: str) -> Self:
        """Keep agents whose key is the prefix, a colon and their id; an empty prefix keeps those without one."""
        return self.filter(_in_namespace(prefix))

    def in_namespaces(self, prefixes: Iterable[str]) -> Self:
        """Keep agents of any of some namespaces."""
        wanted = [_in_namespace(prefix) for prefix in prefixes]
        return self.filter(reduce(or_, wanted)) if wanted else self.none()

    def namespaces(self, limit: int = 50) -> list[str]:
        """Return the prefixes that occur, in order, each found by one step through the index of keys."""
        return dialect.key_prefixes(self.db, limit)

    def matching(self, text: str) -> Self:
        """Keep agents with the text anywhere in id or name, whatever the case of ASCII letters."""
        return self.filter(Q(agent_id__icontains=text) | Q(name__icontains=text)) if text else self

    def without_state(self) -> Self:
        return self.defer("state_data", "metadata")

    def with_size(self) -> Self:
        """Add `size`, the bytes of the state."""
        return self.annotate(size=dialect.byte_length("state_data"))

    def with_last_reason(self) -> Self:
        """Add `last_reason`, the reason of the newest transition."""
        from statestore.models import Transition

        newest = Transition.objects.filter(agent_id=OuterRef("agent_id")).order_by(*BY_TIME)
        return self.annotate(last_reason=Subquery(newest.values("reason")[:1]))

    def silent_since(self, seconds: int) -> Self:
        """Keep running agents that nothing has changed since that moment."""
        return self.walked_with_status("running").filter(updated_at__lte=seconds)

    def etags(self, agent_ids: set[str], *, max_bytes: int) -> dict[str, str]:
        """Return the etags of those of the agents whose states are small enough to be hashed for a list."""
        agents = self.filter(agent_id__in=agent_ids)
        small = agents.filter(GreaterThanOrEqual(Value(max_bytes), dialect.byte_length("state_data")))
        return {agent.agent_id: agent.etag() for agent in small}

    def counts_by_status(self) -> dict[str, int]:
        """Return the number of agents for each status that occurs."""
        return dict(self.order_by().values_list("status").annotate(number=Count("*")))


class TransitionQuerySet(AddressedQuerySet["models.Transition"]):
    """Changes of agents' states."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def newest_first(self) -> Self:
        return self.order_by(*BY_TIME)

    def oldest_first(self) -> Self:
        return self.order_by("timestamp", "rowid")

    def since(self, seconds: int) -> Self:
        return self.filter(timestamp__gte=seconds)

    def until(self, seconds: int) -> Self:
        return self.filter(timestamp__lte=seconds)

    def later_than(self, seconds: int) -> Self:
        return self.filter(timestamp__gt=seconds)

    def after(self, other: "models.Transition") -> Self:
        """Keep those that came later than another one, in the order of time and insertion."""
        return self.newer_than(other.timestamp, other.rowid)

    def before(self, other: "models.Transition") -> Self:
        return self.older_than(other.timestamp, other.rowid)

    def older_than(self, at: int, rowid: int) -> Self:
        """Keep those before a time and insertion order."""
        return older(self, "timestamp", at, rowid)

    def newer_than(self, at: int, rowid: int) -> Self:
        return newer(self, "timestamp", at, rowid)

    def without_states(self) -> Self:
        return self.defer("state_before", "state_after")

    def hourly_counts(self, start: int) -> dict[int, int]:
        """Return how many there were in each of the 24 hours from `start`."""
        return hourly(self, "timestamp", start)

    def with_sizes(self) -> Self:
        """Add `size_before` and `size_after` in bytes."""
        return self.annotate(
            size_before=dialect.byte_length("state_before"), size_after=dialect.byte_length("state_after")
        )


class SnapshotQuerySet(AddressedQuerySet["models.Snapshot"]):
    """Kept copies of states."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def newest_first(self) -> Self:
        return self.order_by(*BY_CREATION)

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "rowid")

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
        return self.annotate(size=dialect.byte_length("state_data"))

    def expiring_between(self, start: int, end: int) -> Self:
        """Keep those that our own table of expiries names: the snapshots' own column has no index."""
        from statestore.models import Expiry

        due = Expiry.objects.filter(expires_at__gt=start, expires_at__lte=end).order_by("expires_at")
        return self.filter(pk__in=due.values("snapshot_id"))

    def expired(self, now: int) -> Self:
        return self.filter(expires_at__lte=now)


class EventQuerySet(AddressedQuerySet["models.Event"]):
    """What was said and done."""

    def in_session(self, session_id: str) -> Self:
        return self.filter(session_id=session_id)

    def of_type(self, event_type: str) -> Self:
        return self.filter(event_type=event_type)

    def by_actor(self, actor_id: str) -> Self:
        return self.filter(actor_id=actor_id)

    def newest_first(self) -> Self:
        return self.order_by(*BY_TIME)

    def older_than(self, other: "models.Event") -> Self:
        return older(self, "timestamp", other.timestamp, other.rowid)

    def newer_than(self, other: "models.Event") -> Self:
        return newer(self, "timestamp", other.timestamp, other.rowid)

    def oldest_first(self) -> Self:
        return self.order_by("timestamp", "rowid")

    def last_inserted(self) -> Self:
        """Order by insertion alone: an index on any one column delivers it without a sort."""
        return self.order_by("-rowid")

    def hourly_counts(self, start: int) -> dict[int, int]:
        """Return how many there were in each of the 24 hours from `start`, read from the index of types and times."""
        return dialect.event_counts(self.db, start, start + DAY_SECONDS, HOUR_SECONDS)

    def with_beginning(self, characters: int) -> Self:
        """Add `beginning`, the first characters of the content, and its `size`, without the rest of it."""
        piece = Substr("content", 1, characters, output_field=AnyText())
        return self.annotate(beginning=piece, size=dialect.byte_length("content")).defer("content", "metadata")

    def matching(self, text: str) -> Self:
        """Keep events with the text anywhere in content, type or session, as the orchestrator's own search does."""
        return self.filter(Q(content__holds=text) | Q(event_type__holds=text) | Q(session_id__holds=text))

    def not_matching(self, text: str) -> Self:
        """Keep events without the text in content, type or session."""
        return self.exclude(Q(content__holds=text) | Q(event_type__holds=text) | Q(session_id__holds=text))


class TaskQuerySet(AddressedQuerySet["models.Task"]):
    """Pieces of work."""

    def assigned_to(self, agent_id: str) -> Self:
        return self.filter(assigned_to=agent_id)

    def done_after(self, seconds: int) -> Self:
        return self.filter(status="Done", updated_at__gt=seconds)

    def last_changed_first(self) -> Self:
        return self.order_by(*BY_CHANGE)

    def with_text(self, text: str) -> Self:
        """Keep tasks with the text in title or id, whatever the case of ASCII letters."""
        return self.filter(Q(title__holds=text) | Q(pk__holds=text)) if text else self

    def counts_by_status(self) -> dict[str, int]:
        """Return the number of tasks for each status that occurs."""
        return dict(self.order_by().values_list("status").annotate(number=Count("*")))


class SessionQuerySet(AddressedQuerySet["models.Session"]):
    """Stretches of work."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def open(self) -> Self:
        return self.filter(ended_at__isnull=True)

    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-rowid")


def _in_namespace(prefix: str) -> Q:
    if not prefix:
        return Q(key=F("agent_id"))
    begins = f"{prefix}:"
    return Q(key__startswith=begins, key=Concat(Value(begins), "agent_id", output_field=AnyText()))
