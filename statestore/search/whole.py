"""All that a query finds, row by row: any number of them, of any size."""

from collections.abc import Iterator
from typing import Final

from statestore import dialect, models, paging
from statestore.routers import store_alias
from statestore.search import reading
from statestore.search.found import find_ids
from statestore.search.language import Query

IDS_AT_ONCE: Final = 1_000
ROWS_AT_ONCE: Final = 200
BYTES_AT_ONCE: Final = 8 << 20


def find_all(query: Query, *, using: str | None = None) -> Iterator[models.Event]:
    """Return all events that a query asks for, newest first; what no index covers, portion by portion.

    No more of them are held than a few megabytes. What changes meanwhile comes as it was or as it became.
    """
    using = using or store_alias()
    cursor: str | None = ""
    while cursor is not None:
        ids, cursor = find_ids(query, cursor=cursor, limit=IDS_AT_ONCE, using=using)
        for start in range(0, len(ids), ROWS_AT_ONCE):
            for part in _bounded(using, ids[start : start + ROWS_AT_ONCE]):
                with dialect.translated_errors():
                    rows = {event.pk: event for event in reading.events_of(using).filter(pk__in=part).order_by()}
                yield from (rows[pk] for pk in part if pk in rows)


def _bounded(using: str, ids: list[str]) -> Iterator[list[str]]:
    """Return ids so many at a time as have rows that fit into memory; always one, where there is one."""
    sizes = (dialect.byte_length("content"), dialect.byte_length("metadata"))
    with dialect.translated_errors():
        found = reading.events_of(using).filter(pk__in=ids).order_by().values_list("pk", *sizes)
        size_of = {pk: (content or 0) + (metadata or 0) for pk, content, metadata in found}
    return paging.portions(((pk, size_of.get(pk, 0)) for pk in ids), BYTES_AT_ONCE)
