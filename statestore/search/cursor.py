"""Keyset cursors: where a page of answers begins."""

import re
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Q

from statestore.db import pagination
from statestore.errors import ValidationError
from statestore.search import limits

LAST_PAGE: Final = "last"
DAMAGED: Final = "The page's cursor is invalid. Start again from the first page."


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after an event, or at either end. The event's id helps to find its document in the index.

    Events that no index covers are read in portions, in the order of insertion: `low` (inclusive) and `high`
    (exclusive) bound the rowids of the page's portion.
    """

    backwards: bool = False
    timestamp: int | None = None
    rowid: int | None = None
    pk: str = ""
    low: int | None = None
    high: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor that `str` wrote. Raises ValidationError for any other text."""
        place, *bounds = text.split(".")
        low, high = _bounds(bounds)
        if place in ("", LAST_PAGE):
            return cls(bool(place), low=low, high=high)
        backwards, (timestamp, rowid, pk) = pagination.decode_cursor(place, 3)
        if not isinstance(rowid, int) or not isinstance(timestamp, int) or not isinstance(pk, str):
            raise ValidationError(DAMAGED, field="cursor")
        return cls(backwards, timestamp, rowid, pk, low, high)

    def __str__(self) -> str:
        # Without the id, the document is found a little slower.
        pk = self.pk if len(self.pk) <= limits.CURSOR_ID_CHARACTERS else ""
        place = LAST_PAGE if self.backwards else ""
        if self.rowid is not None:
            place = pagination.encode_cursor([self.timestamp, self.rowid, pk], backwards=self.backwards)
        if not self.is_bounded:
            return place
        return ".".join([place, *("" if bound is None else str(bound) for bound in (self.low, self.high))])

    @property
    def order(self) -> tuple[str, str]:
        """The columns by which the page's rows are read."""
        return ("timestamp", "rowid") if self.backwards else ("-timestamp", "-rowid")

    @property
    def beyond(self) -> Q:
        """The condition for events on the page's side of the cursor."""
        if self.rowid is None:
            return Q()
        operator = "gt" if self.backwards else "lt"
        return Q(**{f"timestamp__{operator}e": self.timestamp}) & (
            Q(**{f"timestamp__{operator}": self.timestamp})
            | Q(timestamp=self.timestamp, **{f"rowid__{operator}": self.rowid})
        )

    @property
    def is_bounded(self) -> bool:
        """Whether the page is about one portion of the rows only."""
        return self.low is not None or self.high is not None

    @property
    def goes_up(self) -> bool:
        """Whether portions are read from the first inserted row upwards."""
        return self.backwards and (self.rowid is None or self.is_bounded)

    def holds(self, rowid: int) -> bool:
        """Return whether a row is in the page's portion."""
        return (self.low is None or rowid >= self.low) and (self.high is None or rowid < self.high)

    def within(self, portion: "Cursor") -> "Cursor":
        """Return this cursor, bounded by the portion of another."""
        return replace(self, low=portion.low, high=portion.high)

    def up_to(self, edge: int | None) -> "Cursor":
        """Return the cursor for a page that covers no more than was read."""
        if edge is None or self.backwards != self.goes_up:
            return self
        return replace(self, high=edge) if self.goes_up else replace(self, low=edge)

    @property
    def portion_after(self) -> "Cursor | None":
        """The first page of the next portion, or None if this is the last one."""
        bound = self.high if self.backwards else self.low
        if bound is None:
            return None
        return Cursor(True, low=bound) if self.backwards else Cursor(high=bound)

    @property
    def portion_before(self) -> "Cursor | None":
        """The last page of the previous portion, or None if this is the first one."""
        bound = self.low if self.backwards else self.high
        if bound is None:
            return None
        return Cursor(high=bound) if self.backwards else Cursor(True, low=bound)


def _bounds(texts: list[str]) -> tuple[int | None, int | None]:
    if texts and (len(texts) != 2 or not all(re.fullmatch(r"(-?\d{1,18})?", text) for text in texts)):
        raise ValidationError(DAMAGED, field="cursor")
    low, high = texts or ("", "")
    return int(low) if low else None, int(high) if high else None
