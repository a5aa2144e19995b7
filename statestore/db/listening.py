"""Word of new events from one process to the others, on PostgreSQL: the live tail waits for it instead of asking.

Who has written events says so by NOTIFY after the commit, at most ten times a second. Each server process keeps one
connection that listens, while a tail asks. What it hears counts a moment later, so that events whose word was left out
are there by then: a tail that read before that reads again.

Programs that write into the store directly say nothing; so a tail waits for a few seconds only. Behind a pooler of
transactions no word arrives: a word of its own tells the listener whether one does.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from django.db import connections, transaction

from statestore.db import vendor

log = logging.getLogger(__name__)

_CHANNEL: Final = "dash_events"
# Between two words of a process about one store; what is written in between comes with the first.
WORD_SECONDS: Final = 0.1
# When a word counts, after it was heard: all that was written by then whose own word was left out is there.
SETTLED_SECONDS: Final = 0.12
PROBE_SECONDS: Final = 2.0
# A listener that no tail has asked for so long closes its connection.
IDLE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 5.0
# A request waits for word no longer; a token of another process says little about this one.
WAIT_SECONDS: Final = 5.0
STRANGE_SECONDS: Final = 1.0
WAITERS: Final = 200
_SAY: Final = f"SELECT pg_notify('{_CHANNEL}', %s || coalesce(current_schema(), ''))"

_said_at: Final[dict[str, float]] = defaultdict(lambda: float("-inf"))
_listeners: Final[dict[str, "Listener"]] = {}
# The collector of garbage ends requests that wait, at any point of any thread: also while that one has the lock.
_lock: Final = threading.RLock()
_waiting: Final[dict[str, set["_Waiter"]]] = defaultdict(set)
# Set in processes that serve: commands and tests hold no connections that listen.
_serving: Final = threading.Event()


def serve() -> None:
    """Let this process listen once a live tail asks."""
    _serving.set()


# Who writes


def say(using: str) -> None:
    """Let the listeners of all processes know of new events once the transaction is committed."""
    connection = connections[using]
    if not vendor.is_sqlite(connection) and vendor.keeps_sessions(connection):
        transaction.on_commit(lambda: _say(using), using=using, robust=True)


def _say(using: str) -> None:
    now = time.monotonic()
    if now - _said_at[using] < WORD_SECONDS:
        return
    _said_at[using] = now
    with connections[using].cursor() as cursor:
        cursor.execute(_SAY, [""])


# Who listens


class _Word(Protocol):
    """What a connection hears: the payload of a NOTIFY."""

    payload: str


class _Rows(Protocol):
    """What a statement gives."""

    def fetchone(self) -> Sequence[str]: ...


class _Connection(Protocol):
    """The driver's connection, as far as a listener uses it."""

    autocommit: bool

    def execute(self, sql: str, parameters: Sequence[str] = ()) -> "_Rows": ...
    def notifies(self, *, timeout: float, stop_after: int) -> Iterable[_Word]: ...


class _Driver(Protocol):
    """The driver of a store's database."""

    Error: type[Exception]

    def connect(self, **parameters: object) -> AbstractContextManager[_Connection]: ...


class Listener:
    """A connection that listens for word of one store, in a thread of its own, while it is asked for."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.heard = 0
        self.is_proven = False
        self._asked_at = time.monotonic()
        self._thread: threading.Thread | None = None

    def keep(self) -> None:
        """Listen for some time more, since a tail has asked."""
        self._asked_at = time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._is_wanted():
            try:
                with self._connected() as raw:
                    self._listen(raw)
                # Otherwise a pooler is in between. Tails ask as often as ever.
                pause_seconds = 0.0 if self.is_proven else IDLE_SECONDS
            except self._driver.Error as error:
                log.info("The live tail asks, since its listener is away: %s", str(error).strip())
                pause_seconds = RETRY_SECONDS
            self.is_proven = False
            time.sleep(pause_seconds)

    @property
    def _driver(self) -> "_Driver":
        connection: Any = connections[self.alias]
        driver: _Driver = connection.Database
        return driver

    def _is_wanted(self) -> bool:
        return time.monotonic() - self._asked_at < IDLE_SECONDS

    @contextlib.contextmanager
    def _connected(self) -> Iterator["_Connection"]:
        """Yield a connection of its own, outside of the pool, whose places are for requests."""
        connection = connections[self.alias]
        parameters = {name: value for name, value in connection.get_connection_params().items() if name != "pool"}
        with self._driver.connect(**parameters) as raw:
            raw.autocommit = True
            if schemas := connection.settings_dict.get("SEARCH_PATH"):
                raw.execute("SELECT set_config('search_path', %s, false)", [schemas])
            yield raw

    def _listen(self, raw: "_Connection") -> None:
        schema = raw.execute("SELECT coalesce(current_schema(), '')").fetchone()[0]
        raw.execute(f"LISTEN {_CHANNEL}")
        probe = f"{os.getpid()}.{threading.get_ident()}:"
        with self._connected() as other:
            other.execute(_SAY, [probe])
        ends = time.monotonic() + PROBE_SECONDS
        while self._is_wanted() and (self.is_proven or time.monotonic() < ends):
            words = [word.payload for word in raw.notifies(timeout=0.5, stop_after=1)]
            self.is_proven = self.is_proven or probe + schema in words
            if schema in words:
                time.sleep(SETTLED_SECONDS)
                self._tell()

    def _tell(self) -> None:
        self.heard += 1
        with _lock:
            for waiter in tuple(_waiting[self.alias]):
                waiter.wake()


def token(using: str) -> str:
    """Return what a tail sends back to wait for news of a store after this moment; "" where none would be heard."""
    connection = connections[using]
    if not _serving.is_set() or vendor.is_sqlite(connection) or not vendor.keeps_sessions(connection):
        return ""
    with _lock:
        listener = _listeners.setdefault(using, Listener(using))
        listener.keep()
    return f"{os.getpid()}.{listener.heard}.{using}" if listener.is_proven else ""


# Who waits


class _Waiter:
    """A request that waits in the event loop, and holds no thread."""

    def __init__(self) -> None:
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()

    def wake(self) -> None:
        """End the wait, from any thread."""
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


async def wait(text: str) -> None:
    """Return once there is news of the store after a token, a few seconds later at the latest; at once if many wait."""
    process, _, rest = text.partition(".")
    number, _, alias = rest.partition(".")
    listener = _listeners.get(alias)
    is_own, waiter = process == str(os.getpid()), _Waiter()
    with _lock:
        if listener is None or sum(map(len, _waiting.values())) >= WAITERS:
            return
        _waiting[alias].add(waiter)
    try:
        if not is_own or number == str(listener.heard):
            await waiter.wait(WAIT_SECONDS if is_own else STRANGE_SECONDS)
    finally:
        with _lock:
            _waiting[alias].discard(waiter)
