"""Transitions: changes of agents' states as they were reported."""

import json
from typing import Self

from django.db.models import F, OuterRef

from statestore.db import archive
from statestore.db.fields import InsertionOrder, LenientText, StateText, UnixSeconds, readable
from statestore.db.ids import url_of
from statestore.models.querysets import BY_TIME, ArchivedModel, ArchivedQuerySet, Intervals, counted, newer, older
from statestore.models.rows import new_id


def status_change(before: str, after: str) -> dict[str, object]:
    """Return what the metadata of a transition says of a change of the agent's status."""
    return {"status": {"before": readable(before), "after": after}}


class TransitionQuerySet(ArchivedQuerySet["Transition"]):
    """Changes of agents' states."""

    def of_agent(self, agent_id: str | OuterRef) -> Self:
        return self.filter(agent_id=agent_id)

    def of_changes(self) -> Self:
        """Keep those that changed the state: a change of status alone has the same state on both sides."""
        return self.exclude(state_before=F("state_after"))

    def newest_first(self) -> Self:
        return self.order_by(*BY_TIME)

    def oldest_first(self) -> Self:
        return self.order_by("timestamp", "rowid")

    def since(self, seconds: int) -> Self:
        return self.filter(timestamp__gte=seconds)

    def earlier_than(self, at: int) -> Self:
        return self.filter(timestamp__lt=at)

    def until(self, seconds: int) -> Self:
        return self.filter(timestamp__lte=seconds)

    def later_than(self, seconds: int) -> Self:
        return self.filter(timestamp__gt=seconds)

    def after(self, transition: "Transition") -> Self:
        """Keep those that came later than another one, in the order of time and insertion."""
        return self.newer_than(transition.timestamp, transition.rowid)

    def before(self, transition: "Transition") -> Self:
        return self.older_than(transition.timestamp, transition.rowid)

    def older_than(self, at: int, rowid: int) -> Self:
        """Keep those before a time and insertion order."""
        return older(self, "timestamp", at, rowid)

    def newer_than(self, at: int, rowid: int) -> Self:
        return newer(self, "timestamp", at, rowid)

    def without_states(self) -> Self:
        return self.defer("state_before", "state_after")

    def counts(self, among: Intervals) -> dict[int, int]:
        """Return how many there were in each interval that has any."""
        return counted(self, "timestamp", among)

    def with_sizes(self) -> Self:
        """Add `size_before` and `size_after` in bytes."""
        return self.annotate(
            size_before=archive.state_length("state_before"), size_after=archive.state_length("state_after")
        )


class Transition(ArchivedModel):
    """One change of an agent's state, as it was reported. Never edited, never deleted alone."""

    id = LenientText(primary_key=True, default=new_id)
    agent_id = LenientText()
    state_before = StateText()
    state_after = StateText()
    reason = LenientText(null=True)
    timestamp = UnixSeconds()
    metadata = LenientText(null=True)
    rowid = InsertionOrder()

    objects = TransitionQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        db_table = "state_transitions"

    def __str__(self) -> str:
        return "captured change" if self.is_captured else str(self.reason or self.id)

    def get_absolute_url(self) -> str:
        return url_of("transition", self.pk)

    @property
    def by(self) -> str:
        """Who made the change, as its metadata says; empty if it does not."""
        try:
            metadata = json.loads(self.metadata or "null")
        except (ValueError, RecursionError):
            return ""
        return str(metadata.get("by") or "") if isinstance(metadata, dict) else ""

    @property
    def is_captured(self) -> bool:
        """Whether the change was captured by a trigger instead of recorded by its author."""
        return self._state.adding and str(self.pk).startswith("captured:")
