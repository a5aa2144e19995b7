"""Facets: which values occur among the newest matches, and how often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from statestore.db.errors import translated_errors
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.filters import COLUMNS
from statestore.search.query import FIELDS, ascii_folded
from statestore.text.natural_order import natural

Row = tuple[str | None, str | None, str | None, str | None, str | None]
Counters = dict[str, Counter[str]]
_ROW: Final = ("event_type", "actor_type", "actor_id", "session_id", "git_commit")
_STORED: Final = {**COLUMNS, "agent": "actor_id", "commit": "git_commit"}


@dataclass(frozen=True, slots=True)
class Facets:
    """{filter: its commonest values with their number of occurrences} over the newest matches.

    `total` is how many matches were counted. If `has_more`, there may be others; `reach` says how far was counted.
    """

    values: dict[str, list[tuple[str, int]]]
    total: int
    has_more: bool
    reach: str = ""

    @classmethod
    def of(cls, counters: Counters, total: int, has_more: bool, reach: str = "") -> "Facets":
        """Return the facets with the commonest values of some counters."""
        return cls({name: _commonest(counters[name]) for name in FIELDS}, total, has_more, reach)

    def limited(self, reach: str) -> "Facets":
        """Return the same facets, of a part of the matches."""
        return replace(self, has_more=True, reach=reach)


def _commonest(counter: Counter[str]) -> list[tuple[str, int]]:
    commonest = counter.most_common(limits.FACET_VALUES)
    return sorted(commonest, key=lambda pair: (-pair[1], natural(pair[0])))


def count(events: EventQuerySet) -> Facets:
    """Return the facets of the first SAMPLED_EVENTS of some events."""
    with translated_errors():
        rows = list(events.values_list(*_ROW)[: limits.SAMPLED_EVENTS + 1])
    counted = rows[: limits.SAMPLED_EVENTS]
    return Facets.of(count_rows(counted), len(counted), len(rows) > limits.SAMPLED_EVENTS)


def rows_of(events: EventQuerySet) -> list[Row]:
    """Return the values of some events that facets count."""
    with translated_errors():
        return list(events.order_by().values_list(*_ROW))


def count_rows(rows: Sequence[Row]) -> Counters:
    """Return how often each value occurs in some rows."""
    types, actor_types, actors, sessions, commits = zip(*rows, strict=True) if rows else [()] * len(_ROW)
    agents = (actor for actor_type, actor in zip(actor_types, actors, strict=True) if actor_type == "Agent")
    columns = {"type": types, "actor": actors, "actor-type": actor_types, "session": sessions, "agent": agents,
               "commit": commits}  # fmt: skip
    return {name: Counter(str(value) for value in values if value is not None) for name, values in columns.items()}


def newest_values(events: EventQuerySet, name: str, prefix: str, limit: int) -> list[str]:
    """Return values of a filter that the newest of some events have, and that begin with a prefix."""
    if name == "agent":
        events = events.filter(actor_type="Agent")
    values = events.newest_first().values_list(_STORED[name], flat=True)[: limits.SAMPLED_EVENTS]
    folded = ascii_folded(prefix)
    texts = {str(value) for value in values if value is not None}
    return sorted((text for text in texts if ascii_folded(text).startswith(folded)), key=natural)[:limit]
