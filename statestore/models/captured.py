"""Captured changes: changes of agents' states that triggers recorded."""

import re
from functools import cache
from typing import ClassVar, Self

from django.db import models
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThan

from statestore.db import vendor
from statestore.db.fields import LenientText, UnixSeconds
from statestore.db.ids import RowId, url_of
from statestore.models.querysets import SAME_SECONDS, AddressedQuerySet, newer, older
from statestore.models.transitions import Transition, TransitionQuerySet


def _about(column: str) -> tuple[Combinable, Combinable]:
    return OuterRef(column) - SAME_SECONDS, OuterRef(column) + SAME_SECONDS


def _recorded() -> TransitionQuerySet:
    """Return the transitions from and to the states of a captured change, at any time.

    None of them is archived: what was recorded since capture began stays.
    """
    return Transition.objects.live().filter(
        agent_id=OuterRef("agent_id"), state_after=OuterRef("state_after"), state_before=OuterRef("state_before")
    )


def _exactly_recorded() -> TransitionQuerySet:
    """Return those of the same second."""
    return _recorded().filter(timestamp=OuterRef("at"))


def _made_again() -> "CapturedChangeQuerySet":
    """Return the other captured changes with the states of an outer one, made at about the same time."""
    same = CapturedChange.objects.filter(
        agent_id=OuterRef("agent_id"),
        at__range=_about("at"),
        state_after=OuterRef("state_after"),
        state_before=OuterRef("state_before"),
    )
    return same.exclude(id=OuterRef("pk"))


def _rivals() -> "QuerySet[CapturedChange, object]":
    """Return the number of those that come before the outer one as what a transition records.

    Those in the second of a transition come first, then the older ones.
    """
    outer_is_exact = ExpressionWrapper(OuterRef("is_exact"), BooleanField())
    same = _made_again().alias(is_exact=Exists(_exactly_recorded()), outer_is_exact=outer_is_exact)
    is_older = Q(id__lt=OuterRef("pk"))
    first = Q(is_exact=True) & (Q(outer_is_exact=False) | is_older)
    rivals = same.filter(first | Q(is_exact=False, outer_is_exact=False) & is_older)
    return rivals.order_by().values("agent_id").annotate(number=Count("*")).values("number")


@cache
def _conditions() -> tuple[Exists, Q]:
    """Return whether a transition of the same second records a change, and whether one records it at all.

    Made once: to put them together takes longer than to ask the database.
    """
    twins = _recorded().filter(timestamp__range=_about("at"))
    number = twins.order_by().values("agent_id").annotate(number=Count("*")).values("number")
    # Few changes are made again within seconds: only of those anything is counted.
    is_first = ~Exists(_made_again()) | GreaterThan(Subquery(number), Coalesce(Subquery(_rivals()), 0))
    return Exists(_exactly_recorded()), Exists(twins) & is_first


class CapturedChangeQuerySet(AddressedQuerySet["CapturedChange"]):
    """Captured changes."""

    def of_agent(self, agent_id: str | OuterRef) -> Self:
        """Keep an agent's changes whose states are kept and that no transition records.

        A transition stands for one change only: the same change may have been made twice and recorded once.
        """
        is_exact, is_recorded = _conditions()
        return self.filter(agent_id=agent_id, state_before__isnull=False).alias(is_exact=is_exact).exclude(is_recorded)

    def newest_first(self) -> Self:
        return self.order_by("-at", "-id")

    def oldest_first(self) -> Self:
        return self.order_by("at", "id")

    def earlier_than(self, at: int) -> Self:
        return self.filter(at__lt=at)

    def until(self, seconds: int) -> Self:
        return self.filter(at__lte=seconds)

    def later_than(self, seconds: int) -> Self:
        return self.filter(at__gt=seconds)

    def older_than(self, at: int, number: int) -> Self:
        """Keep changes before a time and insertion order."""
        return older(self, "at", at, number, order="id")

    def newer_than(self, at: int, number: int) -> Self:
        return newer(self, "at", at, number, order="id")

    def without_states(self) -> Self:
        return self.defer("state_before", "state_after")

    def with_sizes(self) -> Self:
        """Add `size_before` and `size_after` in bytes."""
        return self.annotate(
            size_before=vendor.byte_length("state_before"), size_after=vendor.byte_length("state_after")
        )


class CapturedChange(models.Model):
    """A change of an agent's state, recorded by a trigger. States above the size limit are not kept."""

    PREFIX: ClassVar = "captured:"

    id = models.BigAutoField(primary_key=True)
    agent_id = LenientText()
    at = UnixSeconds()
    state_before = LenientText(null=True)
    state_after = LenientText(null=True)

    objects = CapturedChangeQuerySet.as_manager()

    class Meta:
        db_table = "dash_capture"
        verbose_name = "captured change"
        indexes = [models.Index(fields=["agent_id", "at", "id"], name="dash_capture_agent")]

    def __str__(self) -> str:
        return "captured change"

    def get_absolute_url(self) -> str:
        return url_of("transition", f"{self.PREFIX}{self.pk}")

    @classmethod
    def number_in(cls, transition_id: RowId) -> int | None:
        """Return the key of the captured change that a transition's id names; None for the id of a transition."""
        if not (isinstance(transition_id, str) and transition_id.startswith(cls.PREFIX)):
            return None
        number = transition_id.removeprefix(cls.PREFIX)
        return int(number) if re.fullmatch("0|[1-9][0-9]{0,17}", number) else -1

    def as_transition(self) -> "Transition":
        """Return the change as an unsaved Transition."""
        return Transition(
            id=f"{self.PREFIX}{self.pk}", agent_id=self.agent_id, state_before=self.state_before,
            state_after=self.state_after, reason=None, timestamp=self.at, rowid=self.pk,
        )  # fmt: skip
