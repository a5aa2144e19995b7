"""Retention: policies of what may go, what is held back from them, and what housekeeping did."""

from typing import Final, Self

from django.db import models
from django.db.models import Max, Q, QuerySet
from django.urls import reverse

from statestore.db.fields import LenientText, UnixSeconds
from statestore.db.ids import url_of
from statestore.models.restores import Restore
from statestore.models.rows import new_id


class PolicyTable(models.TextChoices):
    """The tables that have policies."""

    SNAPSHOTS = "snapshots"
    TRANSITIONS = "transitions"
    EVENTS = "events"
    AUDIT = "audit log"


# These tables are thinned agent by agent, and counted so.
OF_AGENTS: Final = frozenset({PolicyTable.SNAPSHOTS.value, PolicyTable.TRANSITIONS.value})


class PolicyQuerySet(QuerySet["RetentionPolicy"]):
    """Policies."""

    def in_order(self) -> Self:
        return self.order_by("table", "namespace", "id")

    def switched_on(self) -> Self:
        return self.filter(is_on=True)


class RetentionPolicy(models.Model):
    """What may be deleted from one table, of one namespace or of all; each limit that is set deletes by itself."""

    id = LenientText(primary_key=True, default=new_id)
    table = models.CharField(max_length=20, choices=PolicyTable.choices, db_column="kept_table")
    namespace = LenientText(null=True, help_text="Null for all that have no policy of their own; empty for none.")
    keep_seconds = models.BigIntegerField(null=True, help_text="Delete what is older.")
    keep_count = models.BigIntegerField(null=True, help_text="Keep so many of an agent's newest.")
    keep_bytes = models.BigIntegerField(null=True, help_text="Keep an agent's newest up to so many bytes of states.")
    is_tiered = models.BooleanField(
        default=False, help_text="Keep all of a day, one an hour for a week, a day for a month, a week for a year."
    )
    is_on = models.BooleanField(default=False)
    created_at = UnixSeconds()
    actor = LenientText()

    objects = PolicyQuerySet.as_manager()

    class Meta:
        db_table = "dash_policy"
        verbose_name = "retention policy"
        verbose_name_plural = "retention policies"
        permissions = [
            ("manage_retention", "Can manage retention policies, take holds off, and archive"),
        ]

    def __str__(self) -> str:
        return f"{self.table} of {self.of}"

    def get_absolute_url(self) -> str:
        return reverse("policy", args=[self.pk])

    @property
    def of(self) -> str:
        """Whose rows the policy is about, in words."""
        if self.namespace is None:
            return "all namespaces"
        return f"namespace {self.namespace}" if self.namespace else "agents without a namespace"


class HoldQuerySet(QuerySet["Hold"]):
    """What is held."""

    def newest_first(self) -> Self:
        return self.order_by("-at", "-id")

    def of(self, noun: str) -> Self:
        return self.filter(noun=noun)

    def on(self, noun: str, row_id: str) -> Self:
        return self.filter(noun=noun, row_id=row_id)

    def keeps(self) -> Q:
        """Return the condition that a snapshot is held: itself, its agent, or the restore that it undoes."""
        restores = Restore.objects.using(self.db).filter(pk__in=self.of("restore").values("row_id"))
        return (
            Q(pk__in=self.of("snapshot").values("row_id"))
            | Q(agent_id__in=self.of("agent").values("row_id"))
            | Q(pk__in=restores.values("safety_snapshot_id"))
        )


class Hold(models.Model):
    """A row that nothing deletes until the hold is taken off: an agent with all its records, a snapshot, a restore."""

    NOUNS: Final = ("agent", "snapshot", "restore")

    id = LenientText(primary_key=True, default=new_id)
    noun = models.CharField(max_length=20)
    row_id = LenientText()
    at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")

    objects = HoldQuerySet.as_manager()

    class Meta:
        db_table = "dash_hold"
        constraints = [models.UniqueConstraint(fields=["noun", "row_id"], name="dash_hold_row")]

    def __str__(self) -> str:
        return f"{self.noun} {self.row_id}"

    def get_absolute_url(self) -> str:
        return url_of(self.noun, self.row_id)


class RunQuerySet(QuerySet["HousekeepingRun"]):
    """What housekeeping did."""

    def newest_first(self) -> Self:
        return self.order_by("-id")

    def of(self, work: str) -> Self:
        return self.filter(work=work)

    def succeeded(self) -> Self:
        return self.filter(problem="")

    def without_clock(self) -> Self:
        """Leave out the notes of the time, which are no work."""
        return self.exclude(work="clock")

    def last_ended(self) -> dict[str, int]:
        """Return {work: when it last ended}."""
        return dict(self.order_by().values_list("work").annotate(last=Max("ended_at")))


class HousekeepingRun(models.Model):
    """One piece of housekeeping: what it was, how long it took, how many rows and bytes went, what went wrong."""

    id = models.BigAutoField(primary_key=True)
    work = models.CharField(max_length=40)
    about = LenientText(blank=True, default="", help_text="The policy, or the backup.")
    started_at = UnixSeconds()
    ended_at = UnixSeconds()
    rows = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    problem = LenientText(blank=True, default="")

    objects = RunQuerySet.as_manager()

    class Meta:
        db_table = "dash_run"
        indexes = [models.Index(fields=["work", "id"], name="dash_run_work")]

    def __str__(self) -> str:
        return f"{self.work} {self.about}"
