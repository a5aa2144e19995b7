"""The indexer's process, which `serve` runs beside its server processes; each of them is its watchdog."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Final, TypeVar

from django.db import connections

from statestore import children
from statestore.db import served, vendor
from statestore.db.routers import chosen, store_aliases
from statestore.search.fts import index_file, indexer
from statestore.search.fts.index_file import Meta
from statestore.search.progress import Progress

Done = TypeVar("Done")
log = logging.getLogger(__name__)

_PACE_SECONDS: Final = 0.5
# If no process has held the lease for so long, none will.
_ORPHANED_SECONDS: Final = 3 * children.LOOK_SECONDS
_said: Final[set[str]] = set()


def start_watching() -> None:
    """Keep an indexer running, if `serve` started this process."""
    children.watch("search-index", ["index", "--follow"], _is_lease_free)


def _is_lease_free() -> bool:
    """Return whether a store has no process that indexes it, and one can."""
    return any(_in_store(alias, _is_store_lease_free) for alias in _indexed_aliases())


def _indexed_aliases() -> list[str]:
    """Return the aliases of the stores that have an index of ours, those too that were added since."""
    served.refresh()
    return [alias for alias in store_aliases() if vendor.is_sqlite(connections[alias])]


def _in_store(alias: str, do: Callable[[], Done]) -> Done:
    with chosen(alias):
        return do()


def _is_store_lease_free() -> bool:
    try:
        with index_file.lease() as is_free:
            return is_free
    except OSError as error:
        # Said once for each server process: the events themselves are read meanwhile.
        if str(error) not in _said:
            _said.add(str(error))
            log.warning("The search index cannot be kept: %s: %s.", error.filename, error.strerror)
        return False


def follow_until_closed(stream: BinaryIO) -> None:
    """Keep the index of each store up to date until the stream ends, as it does when the process behind it exits.

    A thread for each store: one process of all takes less memory than one of each.
    """
    stop = children.stopped_when_closed(stream)
    children.in_threads(_indexed_aliases, lambda alias, ends: _in_store(alias, lambda: indexer.follow(ends)), stop)


def rebuild_elsewhere(report: Callable[[Progress], None], stop: threading.Event) -> bool:
    """Delete the index that another process keeps up to date, and wait until that process has built it again.

    Returns False if it exits meanwhile.
    """
    index_file.delete()
    seen_at = time.monotonic()
    first: tuple[float, int] | None = None
    while not stop.wait(_PACE_SECONDS):
        now = time.monotonic()
        # Between two indexers, the lease is free for a moment.
        with index_file.lease() as is_free:
            seen_at = seen_at if is_free else now
        if now - seen_at > _ORPHANED_SECONDS:
            return False
        meta = _meta()
        if meta.get("walk") is None and meta.get("built"):
            return True
        done, total = int(meta.get("done") or 0), int(meta.get("total") or 0)
        if first is None or done < first[1]:
            first = (now, done)
        if total:
            rate = (done - first[1]) / max(now - first[0], 0.001)
            report(Progress(done, max(total, done), max(total - done, 0) / rate if rate else None))
    return False


def _meta() -> Meta:
    """Return the values that the index keeps about itself, if there is one."""
    index = index_file.reading()
    try:
        return index_file.all_meta(index) if index is not None else {}
    except sqlite3.Error:  # Deleted just now.
        return {}
