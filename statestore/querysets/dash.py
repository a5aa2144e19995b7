"""Clauses over our side tables."""

from typing import TYPE_CHECKING, Any, Self

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from statestore import dialect
from statestore.addresses import AnyId, LongId
from statestore.querysets.common import SAME_SECONDS, AddressedQuerySet, hourly, newer, older

if TYPE_CHECKING:
    from statestore import models  # noqa: F401 (the strings below name it)


class RestoreQuerySet(AddressedQuerySet["models.Restore"]):
    """Restores that were applied."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def newest_first(self) -> Self:
        return self.order_by("-at", "-id")

    def hourly_counts(self, start: int) -> dict[int, int]:
        """Return how many there were in each of the 24 hours from `start`."""
        return hourly(self, "at", start)

    def with_standing(self) -> Self:
        """Add `stands`: whether the agent's state is still the one that the restore wrote, compared by the database."""
        from statestore.models import AgentState, Transition

        written = Transition.objects.filter(pk=OuterRef(OuterRef("transition_id"))).values("state_after")
        same = AgentState.objects.filter(agent_id=OuterRef("agent_id"), state_data=Subquery(written[:1]))
        return self.annotate(stands=Exists(same))

    def with_undo(self) -> Self:
        """Add `undone_by`, the id of the restore that undid this one."""
        undo = self.model._default_manager.filter(undoes_id=OuterRef("pk")).order_by("-at")
        return self.annotate(undone_by=Subquery(undo.values("pk")[:1]))


class PlanQuerySet(AddressedQuerySet["models.Plan"]):
    """Restores that somebody prepared."""

    def waiting(self, now: int) -> Self:
        """Keep those that can still be applied, newest first, without the states to write."""
        from statestore.models import Restore

        applied = Restore.objects.filter(pk=OuterRef("pk"))
        return (
            self.filter(expires_at__gt=now).exclude(Exists(applied)).defer("state_data").order_by("-created_at", "-id")
        )


class BatchQuerySet(AddressedQuerySet["models.Batch"]):
    """Restores of many agents."""

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def with_counts(self) -> Self:
        """Add `total`, `done` and `waiting`, the numbers of agents."""
        return self.annotate(
            total=Count("items"),
            done=Count("items", filter=Q(items__result="done")),
            waiting=Count("items", filter=Q(items__result="")),
        )

    def undoing(self, batch_id: str) -> Self:
        return self.filter(undoes_id=batch_id)

    def with_undo(self) -> Self:
        """Add `undone_by`, the id of the batch that undoes this one."""
        undo = self.model._default_manager.filter(undoes_id=OuterRef("pk")).order_by("-created_at")
        return self.annotate(undone_by=Subquery(undo.values("pk")[:1]))

    def only_of_agents(self, ids: QuerySet[Any, Any]) -> Self:
        """Keep the batches all of whose agents are among some: who cannot see one of them may not restore it."""
        items = self.model._meta.get_field("items").related_model._default_manager.filter(batch=OuterRef("pk"))
        inside = items.filter(agent_id__in=ids)
        return self.filter(Exists(inside)).exclude(Exists(items.exclude(agent_id__in=ids)))


class BatchItemQuerySet(QuerySet["models.BatchItem"]):
    """Agents of batches."""

    def waiting(self) -> Self:
        return self.filter(result="").order_by("id")

    def with_result(self, result: str) -> Self:
        return self.filter(result=result)

    def done(self) -> Self:
        return self.filter(result="done").order_by("id")

    def counts_by_result(self) -> dict[str, int]:
        """Return the number of agents for each result that occurs."""
        return dict(self.order_by().values_list("result").annotate(number=Count("*")))


class CapturedQuerySet(AddressedQuerySet["models.Captured"]):
    """Changes that triggers saw."""

    def of_agent(self, agent_id: str) -> Self:
        """Keep the changes of an agent that are kept and that no transition records too."""
        from statestore.models import Transition

        twins = Transition.objects.filter(
            agent_id=OuterRef("agent_id"),
            timestamp__gte=OuterRef("at") - SAME_SECONDS,
            timestamp__lte=OuterRef("at") + SAME_SECONDS,
            state_after=OuterRef("state_after"),
            state_before=OuterRef("state_before"),
        )
        return self.filter(agent_id=agent_id, state_before__isnull=False).exclude(Exists(twins))

    def newest_first(self) -> Self:
        return self.order_by("-at", "-id")

    def oldest_first(self) -> Self:
        return self.order_by("at", "id")

    def until(self, seconds: int) -> Self:
        return self.filter(at__lte=seconds)

    def later_than(self, seconds: int) -> Self:
        return self.filter(at__gt=seconds)

    def older_than(self, at: int, number: int) -> Self:
        """Keep those before a time and insertion order."""
        return older(self, "at", at, number, order="id")

    def newer_than(self, at: int, number: int) -> Self:
        return newer(self, "at", at, number, order="id")

    def without_states(self) -> Self:
        return self.defer("state_before", "state_after")

    def with_sizes(self) -> Self:
        """Add `size_before` and `size_after` in bytes."""
        return self.annotate(
            size_before=dialect.byte_length("state_before"), size_after=dialect.byte_length("state_after")
        )


class TombstoneQuerySet(QuerySet["models.Tombstone"]):
    """Agents that were moved to the trash."""

    def revived(self) -> Self:
        """Keep those whose agent is not in the trash any more: its orchestrator has saved it again."""
        from statestore.models import AgentState

        return self.filter(Exists(AgentState.objects.filter(agent_id=OuterRef("agent_id"), is_deleted=0)))


class AuditQuerySet(QuerySet["models.AuditEntry"]):
    """What people did."""

    def about(self, row_id: AnyId) -> Self:
        """Keep the entries about one row; of a very long id the beginning decides."""
        if isinstance(row_id, LongId):
            return self.filter(row_id__gte=row_id.prefix, row_id__lt=row_id.prefix + "\U0010ffff")
        return self.filter(row_id=row_id)

    def with_verb(self, verb: str) -> Self:
        return self.filter(verb=verb)

    def newest_first(self) -> Self:
        return self.order_by("-id")
