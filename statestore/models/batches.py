"""Restores of many agents to one time."""

from typing import Self

from django.db import models
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse

from statestore.db.fields import LenientText, UnixSeconds
from statestore.models.querysets import AddressedQuerySet
from statestore.models.rows import new_id


class BatchQuerySet(AddressedQuerySet["Batch"]):
    """Restores of many agents."""

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def newest(self, most: int) -> Self:
        return self.last_by("created_at", most)

    def matching(self, text: str) -> Self:
        """Keep those with the text in their reason or scope; ASCII letters match in either case."""
        return self.filter(Q(reason__holds=text) | Q(scope__holds=text))

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

    def only_of_agents(self, ids: QuerySet[Model, object]) -> Self:
        """Keep batches whose agents are all among the given ones: an agent that is not visible cannot be restored."""
        items = self.model._meta.get_field("items").related_model._default_manager.filter(batch=OuterRef("pk"))
        inside = items.filter(agent_id__in=ids)
        return self.filter(Exists(inside)).exclude(Exists(items.exclude(agent_id__in=ids)))


class Batch(models.Model):
    """One restore of many agents to the same time: prepared, applied agent by agent, undone as one."""

    id = LenientText(primary_key=True, default=new_id)
    created_at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")
    moment = LenientText(help_text="The time that the agents are put back to, in the grammar of moments.py.")
    scope = LenientText(blank=True, default="", help_text="Which agents were asked for, in words.")
    undoes_id = LenientText(null=True, help_text="The batch that this one undoes.")
    approved_by = LenientText(blank=True, default="")

    objects = BatchQuerySet.as_manager()

    class Meta:
        db_table = "dash_batch"
        verbose_name_plural = "batches"
        indexes = [models.Index(fields=["created_at", "id"], name="dash_batch_at")]

    def __str__(self) -> str:
        return f"{self.scope or 'agents'} to {self.moment}"

    def get_absolute_url(self) -> str:
        return str(reverse("batch", args=[self.pk]))


class BatchItemQuerySet(QuerySet["BatchItem"]):
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


class BatchItem(models.Model):
    """One agent of a batch: the ETag of its row, and the result."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items")
    agent_id = LenientText()
    expected_etag = models.CharField(max_length=64)
    moment = LenientText()
    result = models.CharField(max_length=20, blank=True, default="", help_text="Empty while it waits.")
    note = LenientText(blank=True, default="")
    restore_id = LenientText(null=True)

    objects = BatchItemQuerySet.as_manager()

    class Meta:
        db_table = "dash_batch_item"
        indexes = [models.Index(fields=["batch", "result", "id"], name="dash_batch_item_result")]

    def __str__(self) -> str:
        return f"{self.agent_id} {self.result or 'waiting'}"
