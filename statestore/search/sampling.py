"""What is counted: the newest matches of a query, and those that the index does not cover."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Max

from statestore.search import filters
from statestore.search.filters import Cursor
from statestore.search.fts import change_log, ordering, planner, unindexed
from statestore.search.fts.coverage import Coverage
from statestore.search.fts.planner import Doc, Plan
from statestore.search.query import Query
from statestore.search.results import span

# The newest matches that are counted; where each has to be read, as many as are read for a page.
MOST_COUNTED: Final = 5_000
MOST_READ: Final = planner.MOST_READ
# Documents that are looked at for them where filters turn most of them away.
MOST_LOOKED_AT: Final = 15_000


def last_inserted(using: str, query: Query) -> tuple[Any, bool]:
    """Return the matches among the events that were inserted last, and whether those are all events."""
    events = unindexed.events_of(using)
    above = (events.aggregate(last=Max("rowid"))["last"] or 0) - unindexed.MOST_ROWS
    is_all = not events.filter(rowid__lte=above).exists()
    return filters.narrowed(events.filter(rowid__gt=above), query).order_by("-rowid"), is_all


@dataclass(frozen=True, slots=True)
class Matches:
    """The newest documents that answer a query, and the second up to which was looked; None where that is all."""

    docs: list[Doc]
    last: int | None = None


def planned(query: Query, covered: Coverage) -> tuple[Plan, Coverage]:
    """Return how to find what is counted, and what has to be read beside it."""
    assert covered.index is not None
    plan, where = planner.plan(covered.index, query, counting=True), span(covered.index, query, Cursor())
    return plan, covered.with_large(where.low, where.high) if plan.by_text else covered


def newest(using: str, query: Query, covered: Coverage, plan: Plan) -> Matches:
    """Return the newest documents that answer a query."""
    assert covered.index is not None
    most = MOST_COUNTED if plan.is_exact else MOST_READ
    docs: list[Doc] = []
    besides = covered.besides
    for looked_at, (allowed, doc) in enumerate(plan.walk(covered.index, span(covered.index, query, Cursor())), 1):
        if allowed and doc[1] not in besides:
            docs.append(doc)
        if len(docs) >= most or looked_at >= MOST_LOOKED_AT:
            return Matches(_checked(using, query, plan, docs), ordering.second_of(doc[0]))
    return Matches(_checked(using, query, plan, docs))


def _checked(using: str, query: Query, plan: Plan, docs: list[Doc]) -> list[Doc]:
    if plan.is_exact:
        return docs
    parts = unindexed.among(using, query, Cursor(), [doc[1] for doc in docs])
    right = {change_log.name_of(place.pk) for part in parts for place in part}
    return [doc for doc in docs if doc[1] in right]


def beside(using: str, query: Query, covered: Coverage) -> tuple[list[unindexed.Place], bool]:
    """Return the matches that the index does not cover, and whether there are others."""
    found = unindexed.besides(using, query, Cursor(), covered)
    unread = unindexed.in_ranges(using, query, Cursor(), covered.unread, MOST_READ)
    known = {place.pk for place in found}
    found += [place for place in unread.found if place.pk not in known]
    return found, unread.edge is not None or len(unread.found) == MOST_READ
