"""The live tail: what was inserted since, in the order of insertion, whatever the events' own clocks say."""

from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.search import filters
from statestore.search.fts import ordering, unindexed
from statestore.search.query import Query

MOST_ROWS: Final = 50
MOST_LOOKED_AT: Final = 1_000
# So many places of insertion are looked at again: on PostgreSQL, a transaction that ends later than another may have
# got its places before it.
AGAIN: Final = 500
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Tail:
    """The events that came, the newest first, and the cursor to ask with next.

    With `has_more` there are others already; `is_lost` tells that the order of insertion is another one now, as after
    VACUUM.
    """

    rows: list[models.Event]
    cursor: str
    has_more: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """How far the tail has come: the last place of insertion, and which of those up to it were seen, as bits."""

    last: int
    seen: int

    @classmethod
    def of(cls, last: int, rowids: list[int]) -> "_Place":
        return cls(last, sum(1 << (last - one) for one in set(rowids) if 0 <= last - one < AGAIN))

    @classmethod
    def parse(cls, text: str) -> "_Place":
        last, point, seen = text.partition(".")
        try:
            if not point or len(text) > _LONGEST or abs(int(last)) >= 1 << 62:
                raise ValueError(text)
            return cls(int(last), int(seen, 16))
        except ValueError:
            raise ValidationError("The cursor is invalid. Reload the page.") from None

    def has(self, rowid: int) -> bool:
        return rowid <= self.last and bool(self.seen >> (self.last - rowid) & 1)

    def __str__(self) -> str:
        return f"{self.last}.{self.seen:x}"


def tail_from_now(*, using: str | None = None) -> str:
    """Return the cursor after which all events are new."""
    with translated_errors():
        newest = unindexed.events_of(using or store_alias()).last_inserted().values_list("rowid", flat=True)
        rowids = list(newest[:AGAIN])
    return str(_Place.of(rowids[0] if rowids else 0, rowids))


def follow(query: Query, cursor: str, *, using: str | None = None) -> Tail:
    """Return those of the events that came after a cursor for which a query asks, a bounded number of them.

    Raises ValidationError for a cursor that was not made here.
    """
    using = using or store_alias()
    place = _Place.parse(cursor)
    events = unindexed.events_of(using)
    with translated_errors():
        inserted = events.filter(rowid__gt=place.last - AGAIN).order_by("rowid").values_list("rowid", flat=True)
        rowids = list(inserted[: AGAIN + MOST_LOOKED_AT])
        # The event in the last place is gone, and SQLite gives that place to the next one.
        if place.last and (not rowids or rowids[-1] < place.last):
            return Tail([], tail_from_now(using=using), is_lost=True)
        fresh = [one for one in rowids if not place.has(one)]
        found = unindexed.places(
            filters.narrowed(events.filter(rowid__in=fresh), query).order_by("rowid"), MOST_ROWS + 1
        )
    has_more = len(found) > MOST_ROWS or len(rowids) == AGAIN + MOST_LOOKED_AT
    if len(found) > MOST_ROWS:
        found = found[:MOST_ROWS]
        rowids = [one for one in rowids if one <= found[-1].rowid or place.has(one)]
    last = max([place.last, *rowids])
    return Tail(_read(using, query, found), str(_Place.of(last, rowids)), has_more)


def _read(using: str, query: Query, found: list[unindexed.Place]) -> list[models.Event]:
    """Return the events in some places, the newest first."""
    events = filters.with_excerpt(unindexed.events_of(using).order_by(), query.words)
    with translated_errors():
        rows = list(events.filter(pk__in=[place.pk for place in found])) if found else []
    return sorted(rows, key=lambda event: ordering.key(event.timestamp, event.rowid), reverse=True)
