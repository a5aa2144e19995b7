"""A query as clauses on events: what every answer is checked with, on either database."""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import F, IntegerField, Q, Value
from django.db.models.functions import Coalesce, Greatest, Left, Lower, StrIndex, Substr

from statestore.db import pagination, vendor
from statestore.db.fields import LenientText
from statestore.errors import ValidationError
from statestore.models.events import EventQuerySet
from statestore.search.query import Query, ascii_folded

COLUMNS: Final = {"type": "event_type", "actor-type": "actor_type", "actor": "actor_id", "session": "session_id"}
ORDER: Final = ("-timestamp", "-rowid")
LAST_PAGE: Final = "last"
LONGEST_NAME: Final = 500
DAMAGED: Final = "The page's cursor is invalid. Start again from the first page."


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after an event, whose name helps to find its place in the index, or at either end.

    What no index covers is read in the order of insertion, portion by portion: `low` and `high` bound the rowids that
    the page is about, the former included.
    """

    backwards: bool = False
    timestamp: Any = None
    rowid: int | None = None
    pk: str = ""
    low: int | None = None
    high: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor of a page's address. Raises ValidationError for one that was not made here."""
        place, *bounds = text.split(".")
        low, high = _bounds(bounds)
        if place in ("", LAST_PAGE):
            return cls(bool(place), low=low, high=high)
        backwards, (timestamp, rowid, pk) = pagination.decode_cursor(place, 3)
        if not isinstance(rowid, int) or not isinstance(timestamp, int) or not isinstance(pk, str):
            raise ValidationError(DAMAGED, field="cursor")
        return cls(backwards, timestamp, rowid, pk, low, high)

    def __str__(self) -> str:
        # Without the name, the place is found a little slower.
        pk = self.pk if len(self.pk) <= LONGEST_NAME else ""
        place = LAST_PAGE if self.backwards else ""
        if self.rowid is not None:
            place = pagination.encode_cursor([self.timestamp, self.rowid, pk], backwards=self.backwards)
        if self.low is None and self.high is None:
            return place
        return ".".join([place, *("" if bound is None else str(bound) for bound in (self.low, self.high))])

    @property
    def beyond(self) -> Q:
        """The condition for events on the page's side of the cursor."""
        if self.rowid is None:
            return Q()
        way = "gt" if self.backwards else "lt"
        return Q(**{f"timestamp__{way}e": self.timestamp}) & (
            Q(**{f"timestamp__{way}": self.timestamp}) | Q(timestamp=self.timestamp, **{f"rowid__{way}": self.rowid})
        )

    @property
    def is_bounded(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def goes_up(self) -> bool:
        """Whether what no index covers is read from what was inserted first. The live tail wants what came last."""
        return self.backwards and (self.rowid is None or self.is_bounded)

    def holds(self, rowid: int) -> bool:
        """Return whether a row is among those that the page is about."""
        return (self.low is None or rowid >= self.low) and (self.high is None or rowid < self.high)

    def up_to(self, edge: int | None) -> "Cursor":
        """Return the cursor for a page about no more than was read."""
        if edge is None or self.backwards != self.goes_up:
            return self
        return replace(self, high=edge) if self.goes_up else replace(self, low=edge)

    @property
    def portion_after(self) -> "Cursor | None":
        """The page with which to go on when all of this portion was shown, or None where there is no other."""
        bound = self.high if self.backwards else self.low
        if bound is None:
            return None
        return Cursor(True, low=bound) if self.backwards else Cursor(high=bound)

    @property
    def portion_before(self) -> "Cursor | None":
        """The page that leads back out of this portion, or None where there is no other."""
        bound = self.low if self.backwards else self.high
        if bound is None:
            return None
        return Cursor(high=bound) if self.backwards else Cursor(True, low=bound)


def _bounds(texts: list[str]) -> tuple[int | None, int | None]:
    if texts and (len(texts) != 2 or not all(re.fullmatch(r"(-?\d{1,18})?", text) for text in texts)):
        raise ValidationError(DAMAGED, field="cursor")
    low, high = texts or ("", "")
    return int(low) if low else None, int(high) if high else None


def narrowed(events: EventQuerySet, query: Query) -> EventQuerySet:
    """Return those of some events that a query asks for."""
    for word in query.words:
        events = events.matching(word)
    for word in query.unwanted:
        events = events.not_matching(word)
    # Their indexes would lure SQLite away from the rows that are asked for by name or by rowid.
    events = events.alias(
        **{f"plain_{column}": vendor.unindexed(column) for column in (*COLUMNS.values(), "git_commit")}
    )
    for negated in (False, True):
        for condition in _field_conditions(query, negated):
            events = events.exclude(condition) if negated else events.filter(condition)
    if query.after is not None:
        events = events.filter(timestamp__gte=query.after)
    if query.before is not None:
        events = events.filter(timestamp__lt=query.before)
    return events


def _field_conditions(query: Query, negated: bool) -> list[Q]:
    conditions = [
        Q(**{f"plain_{column}__in": values})
        for name, column in COLUMNS.items()
        if (values := query.values(name, negated=negated))
    ]
    if agents := query.values("agent", negated=negated):
        conditions.append(Q(plain_actor_type="Agent", plain_actor_id__in=agents))
    if commits := query.values("commit", negated=negated):
        conditions.append(_any(_begins("git_commit", one) for one in commits))
    return conditions


def _any(conditions: Any) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _begins(column: str, text: str) -> Q:
    """Return whether a column begins with a text; an empty text is for a column that is empty."""
    whole: Any = Coalesce(F(column), Value(""), output_field=LenientText())
    is_unrestricted = Q(whole.get_lookup("exact")(whole, text))
    if not text:
        return is_unrestricted
    # substr() stops at a NUL; an equality does not.
    begin: Any = Left(whole, len(text), output_field=LenientText())
    return Q(begin.get_lookup("exact")(begin, text)) | is_unrestricted


EXCERPT_CHARACTERS: Final = 320
_CHARACTERS_BEFORE: Final = 80


def with_excerpt(events: EventQuerySet, words: tuple[str, ...], *, whole: bool = False) -> EventQuerySet:
    """Add `excerpt`, the content around the first word in it, where that begins, and the content's `size`."""
    start: Any = Value(1)
    if words:
        place = StrIndex(Lower("content"), Value(ascii_folded(words[0])))
        start = Greatest(Value(1), place - Value(_CHARACTERS_BEFORE), output_field=IntegerField())
    piece = Substr("content", start, EXCERPT_CHARACTERS, output_field=LenientText())
    events = events.annotate(excerpt_start=start, size=vendor.byte_length("content"))
    events = events.annotate(excerpt=piece)
    return events if whole else events.defer("content", "metadata")
