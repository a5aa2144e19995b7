"""The indexer as a part of the one serve command: a process of its own, watched by each server process."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from django.conf import settings

from statestore.search.fts import index_file, indexer
from statestore.search.progress import Progress

VARIABLE: Final = "DASHBOARD_INDEXES"
_LOOK_SECONDS: Final = 2.0
_PACE_SECONDS: Final = 0.5
# So long without anybody who indexes, and none will come.
_ALONE_SECONDS: Final = 3 * _LOOK_SECONDS


def start_watching() -> None:
    """Let this process see to it that somebody indexes, where `serve` has asked for it."""
    if os.environ.get(VARIABLE) == "1":
        threading.Thread(target=_watch, name="search-index", daemon=True).start()


def _watch() -> None:
    """Start an indexer whenever there is none. It ends with this process, which holds the other end of its stdin."""
    pause = threading.Event()
    while True:
        with index_file.lease() as is_free:
            pass
        if is_free:
            command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "index", "--follow"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=settings.BASE_DIR) as process:  # noqa: S603
                process.wait()
        pause.wait(_LOOK_SECONDS)


def follow_until_closed(stream: BinaryIO) -> None:
    """Keep the index up to date until the stream ends, as it does when the process at its other end dies."""
    stop = threading.Event()

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            stream.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    indexer.follow(stop)


def rebuild_elsewhere(tell: Callable[[Progress], None], stop: threading.Event) -> bool:
    """Delete the index under the process that keeps it, and return when that has built it again.

    Returns False where nobody does: the process may have ended meanwhile.
    """
    index_file.delete()
    seen_at = time.monotonic()
    first: tuple[float, int] | None = None
    while not stop.wait(_PACE_SECONDS):
        now = time.monotonic()
        # For a moment, between two indexers, there is none.
        with index_file.lease() as is_free:
            seen_at = seen_at if is_free else now
        if now - seen_at > _ALONE_SECONDS:
            return False
        notes = _notes()
        if notes.get("walk") is None and notes.get("built"):
            return True
        done, total = int(notes.get("done") or 0), int(notes.get("total") or 0)
        if first is None or done < first[1]:
            first = (now, done)
        if total:
            rate = (done - first[1]) / max(now - first[0], 0.001)
            tell(Progress(done, max(total, done), max(total - done, 0) / rate if rate else None))
    return False


def _notes() -> dict[str, Any]:
    """Return what the index says about itself, nothing where there is none."""
    index = index_file.reading()
    try:
        return dict(index.execute("SELECT name, value FROM meta").fetchall()) if index is not None else {}
    except sqlite3.Error:  # Deleted just now.
        return {}
