"""The newest events with a text, as the Python API asks for them: any text, not the language of the search box."""

from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.fields import bindable
from statestore.models import Event
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.query import TEXT, Query, Term
from statestore.search.results import find_ids


def newest_with(text: str, *, among: EventQuerySet, limit: int | None) -> list[Event]:
    """Return the newest of some events with a text in content, type or session.

    The engine finds them; where it cannot, or would take longer, the events are read.
    """
    found = _by_engine(text, among, limit) if limit is not None and limit > 0 and _is_indexed(text) else None
    if found is None:
        with translated_errors():
            return list(among.matching(text).newest_first()[:limit])
    return found


def _is_indexed(text: str) -> bool:
    # No index has shorter words, and no query of a search box the other texts.
    return limits.SHORTEST_WORD_CHARACTERS <= len(text) <= limits.QUERY_CHARACTERS and bindable(text)


def _by_engine(text: str, among: EventQuerySet, limit: int) -> list[Event] | None:
    """Return the newest events that the engine finds within its budget; None if there may be more."""
    query, size = Query((Term(TEXT, text),)), min(limit, limits.IDS_PER_PAGE)
    rows: list[Event] = []
    looked_at, cursor = 0, ""
    while looked_at - len(rows) <= limits.OUTSIDE_EVENTS:
        ids, following = find_ids(query, cursor=cursor, limit=size, using=among.db)
        rows += _in_order(ids, among)
        looked_at += len(ids)
        if following is None or len(rows) >= limit:
            return rows[:limit]
        if len(ids) < size:
            return None  # The engine's budget for a page is spent.
        # As many as should hold those that are missing, by the share of those so far.
        expected = (limit - len(rows)) * looked_at * 5 // 4 // max(len(rows), 1)
        cursor, size = following, max(1, min(expected, limits.IDS_PER_PAGE))
    return None


def _in_order(ids: list[str], among: EventQuerySet) -> list[Event]:
    by_id: dict[str, Event] = {}
    with translated_errors():
        for batch in batched(ids, limits.IDS_AT_ONCE):
            by_id |= {event.pk: event for event in among.filter(pk__in=batch)}
    return [by_id[row_id] for row_id in ids if row_id in by_id]
