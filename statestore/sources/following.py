"""Keeping mirrors up to date: a process beside the server reads what frameworks write, as long as there are sources."""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from statestore import children
from statestore.db.errors import translated_errors
from statestore.errors import StateStoreError
from statestore.models.sources import Source
from statestore.sources import mirror, servers

PAUSE_SECONDS: Final = 1.0
# A look of 0.3 s thus still comes each second.
_REST: Final = 3
_LONGEST_REST_SECONDS: Final = 10.0
log = logging.getLogger(__name__)


def note_sources() -> None:
    """Let servers know that there are sources to follow."""
    _lock_path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _lock_path().touch()


def follow(stop: threading.Event, using: str) -> None:
    """Mirror what is new in each source, again and again, until told to stop."""
    due: dict[int, float] = {}
    with _lease() as is_ours, servers.kept_connections():
        while is_ours and not stop.is_set():
            try:
                with translated_errors():
                    sync_all(using, lambda: not stop.is_set(), due)
            except StateStoreError as error:
                log.info("Sources cannot be mirrored now: %s", error)
            stop.wait(PAUSE_SECONDS)


def sync_all(using: str, go_on: Callable[[], bool], due: dict[int, float]) -> None:
    """Mirror what is new in each source that is due, until told to stop, and note when each is due again.

    A look that takes long is work for a server that others use: it rests for some times as long.
    """
    for source in Source.objects.using(using).by_name():
        began = time.monotonic()
        if began < due.get(source.pk, 0.0):
            continue
        mirror.sync(source, using=using, go_on=go_on)
        ended = time.monotonic()
        due[source.pk] = ended + min((ended - began) * _REST, _LONGEST_REST_SECONDS)
    mirror.settle(using)


def watch() -> None:
    """Keep a process that follows the sources running, if `serve` started this process and there are any."""
    children.watch("sources", ["mirror", "--follow"], _is_wanted)


def _is_wanted() -> bool:
    try:
        if not settings.STORE_IS_EMBEDDED or not _lock_path().exists():
            return False
        with _lease() as is_free:
            return is_free
    except OSError as error:
        log.info("Sources cannot be followed: %s", error)
        return False


@contextmanager
def _lease() -> Iterator[bool]:
    """Yield whether this process follows the sources; the system ends the lease of one that dies."""
    with _lock_path().open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _lock_path() -> Path:
    """Return the file whose lock is the lease. It is there once there are sources."""
    return Path(settings.VAR_DIR) / "sources.lock"
