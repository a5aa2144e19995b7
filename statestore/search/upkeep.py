"""Keeping an engine's own index up to date. PostgreSQL maintains its indexes itself: there, nothing happens."""

from collections.abc import Callable

from django.conf import settings

from statestore.db.routers import store_alias, store_aliases
from statestore.search.engine import engine_for, engine_of_files
from statestore.search.progress import Progress


def index_all(
    using: str | None = None, report: Callable[[Progress], None] | None = None, *, rebuild: bool = False
) -> bool:
    """Bring the index up to date, and return whether this process held the indexer's lease."""
    return engine_for(using or store_alias()).index_all(report, rebuild=rebuild)


def lag_seconds(using: str | None = None) -> int:
    """Return how old the oldest event is that the index does not have yet, 0 if it has all."""
    return engine_for(using or store_alias()).lag_seconds()


def watch_indexer() -> None:
    """Start the indexer's watchdog, if `serve` asked this process for it."""
    engines = [engine_for(alias) for alias in store_aliases()]
    if settings.STORE_DIRS:
        engines.append(engine_of_files())
    for engine in {type(engine): engine for engine in engines}.values():
        engine.watch_indexer()
