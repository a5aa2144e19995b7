"""Keeping an engine's own index up to date. PostgreSQL maintains its indexes itself: there, nothing happens."""

from collections.abc import Callable

from statestore.db.routers import store_alias
from statestore.search.engine import engine_for
from statestore.search.progress import Progress


def index_all(
    using: str | None = None, report: Callable[[Progress], None] | None = None, *, rebuild: bool = False
) -> bool:
    """Bring the index up to date, and return whether this process held the indexer's lease."""
    return engine_for(using or store_alias()).index_all(report, rebuild=rebuild)


def watch_indexer() -> None:
    """Start the indexer's watchdog, if `serve` asked this process for it."""
    engine_for(store_alias()).watch_indexer()
