"""The read replica of a store: whether it is to be read now, and if not, why.

A thread looks at both servers each second while requests come, so that no page waits for a server that hangs. How far
each is are positions in the write-ahead log, in bytes.
"""

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import connections
from django.db.utils import Error

FRESH_SECONDS: Final = 1.0
# What was seen longer ago tells too little: a request waits for a new look, but no longer than a probe would.
STALE_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 1.0
_PRIMARY: Final = "SELECT pg_current_wal_flush_lsn() - '0/0'"
# What was committed last before what it has not replayed yet is at least so old.
_REPLICA: Final = """
SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn() - '0/0', 0), extract(epoch FROM
       clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()))
"""
# Inserted, not written: a commit that does not wait for the disk is in memory for a while.
_WRITTEN: Final = "SELECT pg_current_wal_insert_lsn() - '0/0'"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a store's replica is. `fault` says in a sentence why it is not read, if it is not."""

    replayed: int = 0
    lag_seconds: float = 0.0
    is_primary_away: bool = False
    fault: str = ""

    @property
    def note(self) -> str:
        """What is out of order, and what that means for who reads and writes; "" if nothing is."""
        if self.fault:
            return f"{self.fault} Pages read the primary."
        if self.is_primary_away:
            return "The primary does not answer. Pages read the replica, as far as it is, and nothing can be saved."
        return ""


def is_readable(alias: str, *, after: int = 0) -> bool:
    """Return whether a store's replica answers, is near enough, and has replayed the log up to a position."""
    view = _view(alias)
    standing = view.newest()
    if standing.fault or after > standing.replayed:
        return False
    try:
        with connections[settings.REPLICAS[alias]].cursor():  # Opens the connection that the page needs, or fails.
            return True
    except Error:
        view.note_gone()
        return False


def standing_of(alias: str) -> Standing:
    """Return how far a store's replica was about a second ago."""
    return _view(alias).newest()


def position_after_writing(alias: str) -> int | None:
    """Return up to where the log has what this thread wrote to a primary; None if it did not ask it anything."""
    connection = connections[alias]
    if connection.connection is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        return int(cursor.fetchone()[0])


Row = tuple[Any, ...]


class _Gone(Exception):
    """A server refuses connections, or breaks them: nothing else can be had from it."""


class _Silent(Exception):
    """A server does not answer in time."""


class _Server:
    """One of two servers. While it does not answer a question, no other one is asked."""

    def __init__(self, alias: str, question: str) -> None:
        self._alias, self._question = alias, question
        self._asking: threading.Thread | None = None
        self._answer: Row | None = None
        self._is_gone = False

    def ask(self) -> Row:
        """Return the answer. Raises _Gone or _Silent."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._ask, name="replica-question", daemon=True)
            self._asking.start()
        self._asking.join(ANSWER_SECONDS)
        if self._is_gone:  # By the last question that ended: a server that is gone can be waited for too.
            raise _Gone
        if self._asking.is_alive() or self._answer is None:
            raise _Silent
        return self._answer

    def _ask(self) -> None:
        try:
            with connections[self._alias].cursor() as cursor:
                cursor.execute(self._question)
                self._answer, self._is_gone = cursor.fetchone(), False
        except Error:
            self._is_gone = True
        finally:
            connections.close_all()  # This thread's own.


class _View:
    """What this process knows of a store's two servers."""

    def __init__(self, alias: str) -> None:
        self._primary = _Server(alias, _PRIMARY)
        self._replica = _Server(settings.REPLICAS[alias], _REPLICA)
        self._standing = Standing(fault=_SILENT)
        self._seen_at = float("-inf")
        self._lock = threading.Lock()
        self._look: threading.Thread | None = None

    def newest(self) -> Standing:
        """Return what was seen last, and let a thread look again if that was a while ago."""
        age_seconds = time.monotonic() - self._seen_at
        if age_seconds < FRESH_SECONDS:
            return self._standing
        with self._lock:
            if self._look is None or not self._look.is_alive():
                self._look = threading.Thread(target=self._look_again, name="replica-look", daemon=True)
                self._look.start()
            look = self._look
        if age_seconds >= STALE_SECONDS:
            look.join(PATIENCE_SECONDS)
        return self._standing

    def note_gone(self) -> None:
        """Note that the replica could not be reached just now."""
        self._standing = Standing(fault=_SILENT)

    def _look_again(self) -> None:
        self._standing = self._compared()
        self._seen_at = time.monotonic()

    def _compared(self) -> Standing:
        written = replayed = 0
        try:
            # In this order: what the primary writes in between is no lag.
            (written,) = self._primary.ask()
        except _Gone:
            replayed = sys.maxsize  # It is all that there is, for those too who wrote something that it may lack.
        except _Silent:
            pass
        try:
            is_replica, position, age_seconds = self._replica.ask()
        except (_Gone, _Silent):
            return Standing(fault=_SILENT)
        if not written:
            return Standing(replayed or int(position), is_primary_away=True)
        return standing_between(int(written), is_replica, int(position), float(age_seconds))


_SILENT: Final = "The replica does not answer."
_PROMOTED: Final = "The replica takes writes itself, as it was promoted: let the store's URL name one server alone."


def standing_between(written: int, is_replica: bool, replayed: int, age_seconds: float) -> Standing:
    """Return how a replica stands to a primary that answers; `age_seconds`: of the last commit that it replayed."""
    if not is_replica:
        return Standing(fault=_PROMOTED)
    lag_seconds = age_seconds if replayed < written else 0.0
    most = settings.REPLICA_MAX_LAG_SECONDS
    if lag_seconds > most:
        fault = f"The replica is {lag_seconds:,.0f} s behind, more than REPLICA_MAX_LAG_SECONDS={most} allows."
        return Standing(replayed, lag_seconds, fault=fault)
    return Standing(replayed, lag_seconds)


_views: Final[dict[str, _View]] = {}
_making: Final = threading.Lock()


def _view(alias: str) -> _View:
    with _making:
        return _views.setdefault(alias, _View(alias))
