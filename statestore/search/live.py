"""The live tail: what was inserted since a cursor, in the order of insertion rather than of the events' clocks."""

from dataclasses import dataclass

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.models.events import EventQuerySet
from statestore.search import filters, limits
from statestore.search.engine import engine_for
from statestore.search.hits import Hit, events_of, read_hits, sort_key
from statestore.search.query import Query


@dataclass(frozen=True, slots=True)
class Tail:
    """The events that were inserted, newest first, and the next cursor.

    With `has_more`, others are waiting already. With `is_lost`, rows were renumbered, as by VACUUM: start again.
    """

    rows: list[models.Event]
    cursor: str
    has_more: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class _Position:
    """How far the tail has read: the last rowid, and, as bits, which of those shortly before it were seen."""

    last: int
    seen: int

    @classmethod
    def of(cls, last: int, rowids: list[int]) -> "_Position":
        return cls(
            last, sum(1 << (last - rowid) for rowid in set(rowids) if 0 <= last - rowid < limits.TAIL_REREAD_ROWIDS)
        )

    @classmethod
    def parse(cls, text: str) -> "_Position":
        last, point, seen = text.partition(".")
        try:
            if not point or len(text) > limits.TAIL_CURSOR_CHARACTERS or abs(int(last)) >= 1 << 62:
                raise ValueError(text)
            return cls(int(last), int(seen, 16))
        except ValueError:
            raise ValidationError("The cursor is invalid. Reload the page.") from None

    def has_seen(self, rowid: int) -> bool:
        return rowid <= self.last and bool(self.seen >> (self.last - rowid) & 1)

    def __str__(self) -> str:
        return f"{self.last}.{self.seen:x}"


def tail_from_now(*, among: EventQuerySet | None = None, using: str | None = None) -> str:
    """Return the cursor after which all events are new; with `among`, all of these."""
    with translated_errors():
        rowids = list(
            _events(among, using or store_alias())
            .last_inserted()
            .values_list("rowid", flat=True)[: limits.TAIL_REREAD_ROWIDS]
        )
    return str(_Position.of(rowids[0] if rowids else 0, rowids))


def follow(query: Query, cursor: str, *, among: EventQuerySet | None = None, using: str | None = None) -> Tail:
    """Return the matches that were inserted after a cursor, a bounded number of them; with `among`, of these events.

    Raises ValidationError for an invalid cursor.
    """
    using = using or store_alias()
    position = _Position.parse(cursor)
    events = _events(among, using)
    if among is None:
        query = engine_for(using).resolved(query)
    with translated_errors():
        inserted = (
            events.filter(rowid__gt=position.last - limits.TAIL_REREAD_ROWIDS)
            .order_by("rowid")
            .values_list("rowid", flat=True)
        )
        rowids = list(inserted[: limits.TAIL_REREAD_ROWIDS + limits.TAIL_ROWS])
        # If the event with the last rowid was deleted, SQLite gives its rowid to the next one.
        if position.last and (not rowids or rowids[-1] < position.last):
            return Tail([], tail_from_now(among=among, using=using), is_lost=True)
        fresh = [rowid for rowid in rowids if not position.has_seen(rowid)]
        matches = filters.narrowed(events.filter(rowid__in=fresh), query).order_by("rowid")
        hits = read_hits(matches, limits.TAIL_EVENTS + 1)
    has_more = len(hits) > limits.TAIL_EVENTS or len(rowids) == limits.TAIL_REREAD_ROWIDS + limits.TAIL_ROWS
    if len(hits) > limits.TAIL_EVENTS:
        hits = hits[: limits.TAIL_EVENTS]
        rowids = [rowid for rowid in rowids if rowid <= hits[-1].rowid or position.has_seen(rowid)]
    last = max([position.last, *rowids])
    return Tail(_read(using, query, hits), str(_Position.of(last, rowids)), has_more)


def _events(among: EventQuerySet | None, using: str) -> EventQuerySet:
    return events_of(using) if among is None else among


def _read(using: str, query: Query, hits: list[Hit]) -> list[models.Event]:
    """Return the events of some hits, newest first."""
    events = filters.with_excerpt(events_of(using).order_by(), query.words)
    with translated_errors():
        rows = list(events.filter(pk__in=[hit.pk for hit in hits])) if hits else []
    return sorted(rows, key=lambda event: sort_key(event.timestamp, event.rowid), reverse=True)
