"""The search engine of a database. Only this module asks which one it is."""

from collections.abc import Callable
from typing import Protocol

from django.db import connections

from statestore.db import vendor
from statestore.search.cursor import Cursor
from statestore.search.facets import Facets
from statestore.search.fts.engine import FtsEngine
from statestore.search.histogram import Histogram
from statestore.search.hits import HitPage
from statestore.search.postgres.engine import PostgresEngine
from statestore.search.progress import Progress
from statestore.search.query import Query
from statestore.search.sessions import SessionRange


class Engine(Protocol):
    """Answers queries about the events of one store. An answer that does not cover all of them says so."""

    def page(self, query: Query, cursor: Cursor, limit: int, *, whole: bool = False) -> HitPage:
        """Return the hits of one page; with `whole`, large events are searched to their end, however long it takes."""

    def facets(self, query: Query) -> Facets:
        """Return how often each value occurs among the newest matches."""

    def histogram(self, query: Query, start: int | None, end: int | None) -> Histogram:
        """Return how the matches spread over time; an open end is that of the matches."""

    def counts(self, query: Query, start: int | None, end: int | None) -> tuple[Facets, Histogram]:
        """Return facets and histogram of the same matches, quicker than one after the other."""

    def values(self, name: str, prefix: str, limit: int) -> list[str]:
        """Return existing values of a filter that begin with a prefix."""

    def resolved(self, query: Query) -> Query:
        """Return a query with the sessions of its agents, for conditions on events that are read without the engine."""

    def session_range(self, number: int, start: int | None, *, backwards: bool) -> SessionRange | None:
        """Return about so many sessions by their last events, from the newest or a second on.

        Backwards, towards the newest. None if the engine cannot tell at once.
        """

    def index_all(self, report: Callable[[Progress], None] | None, *, rebuild: bool) -> bool:
        """Bring the engine's own index up to date; return False if another process holds the indexer's lease."""

    def lag_seconds(self) -> int:
        """Return how old the oldest event is that is not in the engine's own index yet, 0 if all are."""

    def watch_indexer(self) -> None:
        """Start the watchdog of the engine's own indexer, if `serve` asked this process for it."""


def engine_for(using: str) -> Engine:
    """Return the engine of a store."""
    return FtsEngine(using) if vendor.is_sqlite(connections[using]) else PostgresEngine(using)


def engine_of_files() -> Engine:
    """Return the engine of SQLite stores, for what concerns none of them: they may be added later."""
    return FtsEngine("")
