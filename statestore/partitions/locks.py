"""Short transactions that make no writer wait: a lock that is not free is tried again, after a pause."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper

from statestore.errors import Busy
from statestore.partitions import limits

Answer = TypeVar("Answer")


def soon(using: str, work: Callable[[CursorWrapper], Answer]) -> Answer:
    """Run `work` as one transaction once its locks are free, and return what it returns. Raises Busy after minutes."""
    until, pause_seconds = time.monotonic() + limits.TRYING_SECONDS, limits.FIRST_PAUSE_SECONDS
    while True:
        try:
            with transaction.atomic(using=using), connections[using].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{limits.LOCK_MILLISECONDS}ms'")
                return work(cursor)
        except OperationalError as error:
            if not _is_held(error):
                raise
            if time.monotonic() > until:
                raise Busy(
                    "Other transactions kept the table locked for minutes. Everything works as before. End them, then"
                    " start this again: it goes on where it stopped."
                ) from error
        time.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311
        pause_seconds = min(2 * pause_seconds, limits.LONGEST_PAUSE_SECONDS)


def execute_patiently(using: str, cursor: CursorWrapper, statement: str) -> None:
    """Run a statement whose lock may not be free, some times; what the transaction did before is not done again."""
    for _ in range(limits.PATIENT_TRIES):
        try:
            with transaction.atomic(using=using):
                cursor.execute(statement)
            return
        except OperationalError as error:
            if not _is_held(error):
                raise
        time.sleep(limits.FIRST_PAUSE_SECONDS)
    cursor.execute(statement)


def _is_held(error: OperationalError) -> bool:
    """Return whether a lock was not free in time, two waited for each other, or a row moved to another partition."""
    return getattr(error.__cause__, "sqlstate", "") in {"55P03", "40P01", "40001"}
