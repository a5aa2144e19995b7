"""All matches of a query, row by row: any number of them, of any size."""

from collections.abc import Iterator, Sequence

from statestore import models
from statestore.db import pagination, vendor
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.hits import events_of
from statestore.search.query import Query
from statestore.search.results import find_ids


def find_all(query: Query, *, among: EventQuerySet | None = None, using: str | None = None) -> Iterator[models.Event]:
    """Return all events that match a query, newest first; those that no index covers, portion by portion; with `among`,
    of these events alone.

    No more than a few megabytes of them are held in memory. Events that change meanwhile come as they were or as they
    are.
    """
    using = using or store_alias()
    cursor: str | None = ""
    while cursor is not None:
        ids, cursor = find_ids(query, cursor=cursor, limit=limits.IDS_PER_PAGE, among=among, using=using)
        for batch in batched(ids, limits.EXPORT_ROWS_AT_ONCE):
            for part in _bounded(using, batch):
                with translated_errors():
                    rows = {event.pk: event for event in events_of(using).filter(pk__in=part).order_by()}
                yield from (rows[pk] for pk in part if pk in rows)


def _bounded(using: str, ids: Sequence[str]) -> Iterator[list[str]]:
    """Return ids in portions whose rows fit into memory; at least one id each."""
    sizes = (vendor.byte_length("content"), vendor.byte_length("metadata"))
    with translated_errors():
        rows = list(events_of(using).filter(pk__in=ids).order_by().values_list("pk", *sizes))
    size_of = {pk: (content or 0) + (metadata or 0) for pk, content, metadata in rows}
    return pagination.portions(((pk, size_of.get(pk, 0)) for pk in ids), limits.EXPORT_BYTES_AT_ONCE)
