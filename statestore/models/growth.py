"""Samples of how many rows and bytes there are, kept by housekeeping."""

from collections.abc import Collection, Iterable
from typing import Self

from django.db import models
from django.db.models import QuerySet

from statestore.db.fields import LenientText, UnixSeconds


class SampleQuerySet(QuerySet["Sample"]):
    """Samples. Each question is answered by an index."""

    def of(self, kind: str) -> Self:
        return self.filter(kind=kind)

    def series(self, kind: str, name: str, since: int) -> Self:
        """Keep the samples of one name since a time, oldest first."""
        return self.filter(kind=kind, name=name, at__gte=since).order_by("at")

    def last_at(self, kind: str, until: int | None = None) -> int | None:
        """Return when a kind was sampled last, or last up to a time."""
        rows = self.of(kind) if until is None else self.of(kind).filter(at__lte=until)
        at: int | None = rows.order_by("-at").values_list("at", flat=True).first()
        return at

    def first_at(self, kind: str) -> int | None:
        """Return when a kind was sampled first."""
        at: int | None = self.of(kind).order_by("at").values_list("at", flat=True).first()
        return at

    def at_times(self, kind: str, times: Iterable[int]) -> Self:
        """Keep the samples of a kind at some times."""
        return self.of(kind).filter(at__in=list(times))

    def times(self, kind: str, until: int) -> list[int]:
        """Return when a kind was sampled up to a time, oldest first."""
        rows = self.of(kind).filter(at__lte=until).order_by("at")
        return list(rows.values_list("at", flat=True).distinct())

    def delete_at(self, kind: str, times: Collection[int]) -> int:
        """Delete the samples of a kind at some times, and return their number."""
        return self.at_times(kind, times).delete()[0] if times else 0


class Sample(models.Model):
    """How many rows and bytes something had at a time: a table, a namespace, an agent, a path of a state, a place.

    The kind `walk` has one row: how far the present walk through the tables has come, as JSON in `name`.
    """

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    kind = models.CharField(max_length=20)
    name = LenientText()
    rows = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)

    objects = SampleQuerySet.as_manager()

    class Meta:
        db_table = "dash_sample"
        indexes = [
            models.Index(fields=["kind", "at"], name="dash_sample_at"),
            models.Index(fields=["kind", "name", "at"], name="dash_sample_name"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
