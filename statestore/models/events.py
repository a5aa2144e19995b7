"""Events: what users, agents and the system said and did."""

from collections import Counter
from collections.abc import Collection
from functools import reduce
from operator import or_
from typing import Final, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Substr

from statestore.db import vendor
from statestore.db.counts import event_counts
from statestore.db.fields import InsertionOrder, LenientText, UnixSeconds
from statestore.db.ids import url_of
from statestore.models.querysets import BY_TIME, AddressedQuerySet, Intervals, counted, newer, older
from statestore.models.rows import new_id, now
from statestore.models.sessions import SessionQuerySet


class ActorType(models.TextChoices):
    USER = "User"
    AGENT = "Agent"
    SYSTEM = "System"


# An event of a type that has one of these words is an error.
ERROR_WORDS: Final = ("error", "fail")


def is_error_type(event_type: object) -> bool:
    """Return whether events of a type are errors."""
    kind = str(event_type).lower()
    return any(word in kind for word in ERROR_WORDS)


class EventQuerySet(AddressedQuerySet["Event"]):
    """What was said and done.

    Events in scope know the `reach` of the scope: a condition about other rows must not tell of others. None for all.
    """

    reach: "tuple[EventQuerySet, SessionQuerySet] | None" = None

    def _clone(self) -> Self:
        rows: Self = super()._clone()  # type: ignore[misc]
        rows.reach = self.reach
        return rows

    def reaching(self, sessions: SessionQuerySet) -> Self:
        """Return these events, from which conditions reach no other events, and no other sessions."""
        rows = self.all()
        rows.reach = (self, sessions)
        return rows

    def by_agents(self, agent_ids: Collection[str]) -> Self:
        return self.filter(actor_type=ActorType.AGENT, actor_id__in=agent_ids)

    def in_session(self, session_id: str) -> Self:
        return self.filter(session_id=session_id)

    def of_type(self, event_type: str) -> Self:
        return self.filter(event_type=event_type)

    def by_actor(self, actor_id: str) -> Self:
        return self.filter(actor_id=actor_id)

    def newest_first(self) -> Self:
        return self.order_by(*BY_TIME)

    def older_than(self, event: "Event") -> Self:
        return older(self, "timestamp", event.timestamp, event.rowid)

    def newer_than(self, event: "Event") -> Self:
        return newer(self, "timestamp", event.timestamp, event.rowid)

    def oldest_first(self) -> Self:
        return self.order_by("timestamp", "rowid")

    def last_inserted(self) -> Self:
        """Order by insertion alone: an index on any one column delivers it without a sort."""
        return self.order_by("-rowid")

    def counts_and_errors(self, among: Intervals) -> tuple[dict[int, int], dict[int, int]]:
        """Return how many there were in each interval, and how many of them are errors.

        They are read from the index of types and times; of some events only, these are counted.
        """
        if self.query.has_filters():
            is_error = reduce(or_, (Q(event_type__icontains=word) for word in ERROR_WORDS))
            return counted(self, "timestamp", among), counted(self.filter(is_error), "timestamp", among)
        every, errors = Counter[int](), Counter[int]()
        for (kind, place), number in event_counts(self.db, among.start, among.end, among.seconds).items():
            every[place] += number
            errors[place] += number if is_error_type(kind) else 0
        return dict(every), +errors

    def with_beginning(self, characters: int) -> Self:
        """Add `beginning`, the first characters of the content, and its `size`, without the rest of it."""
        piece = Substr("content", 1, characters, output_field=LenientText())
        return self.annotate(beginning=piece, size=vendor.byte_length("content")).defer("content", "metadata")

    def matching(self, text: str) -> Self:
        """Keep events with the text anywhere in content, type or session, as the orchestrator's own search does.

        To it % and _ are wildcards; here they are plain characters.
        """
        return self.filter(Q(content__holds=text) | Q(event_type__holds=text) | Q(session_id__holds=text))

    def not_matching(self, text: str) -> Self:
        """Keep events without the text in content, type or session."""
        return self.exclude(Q(content__holds=text) | Q(event_type__holds=text) | Q(session_id__holds=text))


class Event(models.Model):
    """Something that a user, an agent or the system said or did."""

    id = LenientText(primary_key=True, default=new_id)
    event_type = LenientText()
    timestamp = UnixSeconds()
    session_id = LenientText()
    actor_type = LenientText()
    actor_id = LenientText()
    content = LenientText()
    metadata = LenientText(null=True)
    git_commit = LenientText(null=True)
    created_at = UnixSeconds(default=now)
    rowid = InsertionOrder()

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "events"

    def __str__(self) -> str:
        return f"{self.event_type} {self.id}"

    def get_absolute_url(self) -> str:
        return url_of("event", self.pk)
