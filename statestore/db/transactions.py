"""Write transactions that the orchestrator hardly waits for, and reads that end in time."""

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db.errors import BUSY, translated_errors
from statestore.db.routers import may_be_shared
from statestore.db.vendor import is_sqlite
from statestore.errors import Busy

# A write of ours may wait this long for the orchestrator's; it itself gives up after five.
LOCK_WAIT_SECONDS = 5
# Once a write of ours has waited this long, the next are refused at once: waiting too, they would take every thread of
# the server from those who only read.
QUEUE_SECONDS = 0.25
# Beside another program: how long the file's lock rests after a write at least (otherwise as long as the write held
# it), and how long after writes that followed each other for so long, so that a program that sleeps finds it free.
REST_SECONDS = 0.003
RUN_SECONDS = 0.3
LONG_REST_SECONDS = 0.11
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
    """The lock under which one thread of this process at a time writes to an SQLite file.

    Beside another program (`is_shared`), the file's own lock rests between two writes. SQLite gives it to the first
    that tries while it is free, and a program that waits sleeps between its tries: first for 1 ms, at last for 100 ms.
    Threads that hand the lock to each other at once would keep it out until its save fails.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._lock = threading.Lock()
        self.is_shared = is_shared
        self.waits_since: float | None = None
        # When the present run of writes without a long rest began, when its last write began and ended.
        self._run_began = self._began = self._ended = 0.0
        self._rest_seconds = 0.0

    def acquire(self) -> None:
        """Wait for the lock. Raises Busy once its holder waits for another program, so that no queue builds up."""
        began = time.monotonic()
        while not self._lock.acquire(timeout=0.05):
            now, waits_since = time.monotonic(), self.waits_since
            is_held_up = waits_since is not None and now - waits_since > QUEUE_SECONDS
            if is_held_up or now - began > LOCK_WAIT_SECONDS:
                raise Busy(BUSY)
        left_seconds = self._ended + self._rest_seconds - time.monotonic()
        if left_seconds > 0:  # To sleep for no time at all takes 50 µs, a third of the write of an event.
            time.sleep(left_seconds)
        self.waits_since = time.monotonic()

    def has_begun(self) -> None:
        """Note that the file's own lock is held."""
        self.waits_since = None
        self._began = time.monotonic()
        if self._began - self._ended >= LONG_REST_SECONDS:
            self._run_began = self._began

    def release(self) -> None:
        """Let the next thread write, after a rest if the file is shared."""
        has_written, self.waits_since = self.waits_since is None, None
        if has_written and self.is_shared:
            self._ended = time.monotonic()
            is_long_run = self._ended - self._run_began > RUN_SECONDS
            # By chance, so that no other program's tries keep step with our writes.
            usual_seconds = max(self._ended - self._began, REST_SECONDS) * random.uniform(1, 1.5)  # noqa: S311
            self._rest_seconds = LONG_REST_SECONDS if is_long_run else usual_seconds
        self._lock.release()


_locks: dict[str, WriteLock] = {}


@contextmanager
def _write_lock(connection: BaseDatabaseWrapper) -> Iterator[WriteLock]:
    if not is_sqlite(connection) or connection.in_atomic_block:
        yield WriteLock()  # Already inside a transaction, or not on SQLite: nothing to acquire.
        return
    alias = connection.alias
    lock = _locks.setdefault(alias, WriteLock(is_shared=may_be_shared(alias)))
    lock.acquire()
    # A thread that asks for the interpreter gets it after 5 ms, at each of a write's dozen statements: beside three
    # others that render pages, a write of 5 ms held the lock for 440 ms.
    sys.setswitchinterval(HURRIED_SWITCH_SECONDS)
    try:
        yield lock
    finally:
        sys.setswitchinterval(_SWITCH_SECONDS)
        lock.release()
