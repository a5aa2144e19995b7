"""Applied restores, and saved plans."""

from typing import Self

from django.db import models
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, Subquery

from statestore.db.fields import LenientText, UnixSeconds
from statestore.db.ids import to_address, url_of
from statestore.models.agents import AgentState
from statestore.models.querysets import AddressedQuerySet, Intervals, counted
from statestore.models.rows import new_id
from statestore.models.transitions import Transition


class RestoreQuerySet(AddressedQuerySet["Restore"]):
    """Applied restores."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def newest_first(self) -> Self:
        return self.order_by("-at", "-id")

    def newest(self, most: int) -> Self:
        return self.last_by("at", most)

    def counts(self, among: Intervals) -> dict[int, int]:
        """Return how many there were in each interval that has any."""
        return counted(self, "at", among)

    def matching(self, text: str) -> Self:
        """Keep those with the text in their reason or the agent's id; ASCII letters match in either case."""
        return self.filter(Q(reason__holds=text) | Q(agent_id__holds=text))

    def with_standing(self) -> Self:
        """Add `stands`: whether the agent's state is still the one that the restore wrote, compared by the database."""
        # What restores wrote is never archived.
        written = Transition.objects.live().filter(pk=OuterRef(OuterRef("transition_id"))).values("state_after")
        agents = AgentState.objects.filter(agent_id=OuterRef("agent_id"))
        is_same = Q(Exists(agents.filter(state_data=Subquery(written[:1]))))
        # The undo of a restore that created the agent has removed it.
        is_removed = Q(hash_after="") & ~Q(Exists(agents))
        return self.annotate(stands=ExpressionWrapper(is_same | is_removed, BooleanField()))

    def with_undo(self) -> Self:
        """Add `undone_by`, the id of the restore that undid this one."""
        # An undo is of the same agent, whose restores have an index: without it each row read the whole table.
        undo = self.model._default_manager.filter(undoes_id=OuterRef("pk"), agent_id=OuterRef("agent_id"))
        undo = undo.order_by("-at")
        return self.annotate(undone_by=Subquery(undo.values("pk")[:1]))


class Restore(models.Model):
    """An applied restore: what was restored, over what, by whom; undone by restoring its safety snapshot."""

    id = LenientText(primary_key=True, default=new_id)
    agent_id = LenientText()
    at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")
    moment = LenientText(help_text="The moment that was put back, in the grammar of moments.py.")
    hash_before = models.CharField(max_length=64, help_text="SHA-256 of the state that was overwritten.")
    hash_after = models.CharField(max_length=64, help_text="SHA-256 of the state that was written and read back.")
    safety_snapshot_id = LenientText()
    transition_id = LenientText()
    undoes_id = LenientText(null=True, help_text="The restore that this one undid.")
    kind = models.CharField(max_length=20, null=True, help_text="whole, part, edit, revert or merge.")
    status_before = LenientText(null=True, help_text="The agent's status before, where the restore changed it.")
    status_after = LenientText(null=True, help_text="The status that was set, where the restore changed it.")

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
        return url_of("restore", self.pk)

    @property
    def safety_moment(self) -> str:
        """The state before, which the safety snapshot holds, in the grammar of moments.py."""
        return f"snapshot:{to_address(self.safety_snapshot_id)}"

    @property
    def has_created(self) -> bool:
        """Whether there was no agent before: it was deleted, and restored from what remained."""
        return not self.safety_snapshot_id

    @property
    def has_removed(self) -> bool:
        """Whether the agent was removed, by undoing a restore that had created it."""
        return not self.hash_after


class SavedPlanQuerySet(AddressedQuerySet["SavedPlan"]):
    """Prepared restores."""

    def waiting(self, now: int) -> Self:
        """Keep those that can still be applied, newest first, without the states to write."""
        applied = Restore.objects.filter(pk=OuterRef("pk"))
        return (
            self.filter(expires_at__gt=now).exclude(Exists(applied)).defer("state_data").order_by("-created_at", "-id")
        )


class SavedPlan(models.Model):
    """A prepared restore: applied at most once, under this id, while the agent's row is unchanged."""

    id = LenientText(primary_key=True, default=new_id)
    agent_id = LenientText()
    created_at = UnixSeconds()
    expires_at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")
    kind = models.CharField(max_length=20)
    moment = LenientText()
    label = LenientText()
    state_data = LenientText(null=True, help_text="The state to write, where it is not that of the moment as a whole.")
    expected_etag = models.CharField(max_length=64, help_text="The agent's row that the plan was made against.")
    hash_before = models.CharField(max_length=64)
    hash_after = models.CharField(max_length=64)
    status = LenientText(blank=True, default="", help_text="The status to set, or empty to leave it.")
    approved_by = LenientText(blank=True, default="")
    approved_at = UnixSeconds(null=True)

    objects = SavedPlanQuerySet.as_manager()

    class Meta:
        db_table = "dash_plan"
        indexes = [models.Index(fields=["created_at", "id"], name="dash_plan_at")]

    def __str__(self) -> str:
        return f"{self.agent_id} to {self.label}"

    def get_absolute_url(self) -> str:
        return url_of("restore", self.pk)

    def is_expired(self, now: int) -> bool:
        """Return whether the plan has expired at `now`."""
        return int(self.expires_at) <= now
