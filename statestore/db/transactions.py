"""Write transactions that the orchestrator hardly waits for, and reads that end in time."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db.errors import BUSY, translated_errors
from statestore.db.vendor import is_sqlite
from statestore.errors import Busy

# A write of ours may wait this long for the orchestrator's; it itself gives up after five.
LOCK_WAIT_SECONDS = 5
# Once a write of ours has waited this long, the next are refused at once: waiting too, they would take every thread of
# the server from those who only read.
QUEUE_SECONDS = 0.25
HURRIED_SWITCH_SECONDS = 0.0002
_SWITCH_SECONDS = sys.getswitchinterval()


@contextmanager
def writing(using: str) -> Iterator[None]:
    """Run a block as one write transaction: IMMEDIATE on SQLite, bounded lock waits on PostgreSQL, errors in our words.

    The whole block is applied or none of it. It must be short: the orchestrator waits for it.
    """
    connection = connections[using]
    with translated_errors(), _write_lock(connection) as lock, transaction.atomic(using=using):
        lock.has_begun()
        if not is_sqlite(connection):
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
        yield


@contextmanager
def in_time(using: str, seconds: float) -> Iterator[None]:
    """Run reads that may take so long each, on PostgreSQL. Raises TooSlow if one would take longer.

    SQLite has no such bound: what reads there bounds itself.
    """
    connection = connections[using]
    if is_sqlite(connection):
        yield
        return
    with translated_errors(), transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
        yield
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


class WriteLock:
    """The lock under which one thread of this process at a time writes to an SQLite file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waits_since: float | None = None

    def acquire(self) -> None:
        """Wait for the lock. Raises Busy once its holder waits for another program, so that no queue builds up."""
        began = time.monotonic()
        while not self._lock.acquire(timeout=0.05):
            now, waits_since = time.monotonic(), self.waits_since
            is_held_up = waits_since is not None and now - waits_since > QUEUE_SECONDS
            if is_held_up or now - began > LOCK_WAIT_SECONDS:
                raise Busy(BUSY)
        self.waits_since = time.monotonic()

    def has_begun(self) -> None:
        """Note that the file's own lock is held."""
        self.waits_since = None

    def release(self) -> None:
        """Let the next thread write."""
        self.waits_since = None
        self._lock.release()


_locks: dict[str, WriteLock] = {}


@contextmanager
def _write_lock(connection: BaseDatabaseWrapper) -> Iterator[WriteLock]:
    if not is_sqlite(connection) or connection.in_atomic_block:
        yield WriteLock()  # Already inside a transaction, or not on SQLite: nothing to acquire.
        return
    lock = _locks.setdefault(connection.alias, WriteLock())
    lock.acquire()
    # A thread that asks for the interpreter gets it after 5 ms, at each of a write's dozen statements: beside three
    # others that render pages, a write of 5 ms held the lock for 440 ms.
    sys.setswitchinterval(HURRIED_SWITCH_SECONDS)
    try:
        yield lock
    finally:
        sys.setswitchinterval(_SWITCH_SECONDS)
        lock.release()
