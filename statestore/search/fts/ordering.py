"""The order of events as numbers: the index's rowid sorts as (timestamp, insertion order) does in the store."""

import math
from datetime import UTC, datetime
from typing import Any, Final

# 2^20 places for the events of one second, below 43 bits and a sign for the second itself.
PLACE_BITS: Final = 20
PLACES: Final = 1 << PLACE_BITS
# Seconds are numbered one by one up to here; beyond, where milli- and nanoseconds are, many share a number.
EXACT: Final = 1 << 42
_COARSE_BITS: Final = 21
COARSE: Final = 1 << _COARSE_BITS
_LAST: Final = (1 << 43) - 1
LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1


def bucket(timestamp: Any) -> int:
    """Return the number of a timestamp's second, never less than that of an earlier one, whatever was stored."""
    if timestamp is None:
        return -_LAST
    if not isinstance(timestamp, int | float):
        return _LAST  # SQLite sorts texts and blobs after all numbers.
    if isinstance(timestamp, float):
        timestamp = math.floor(max(min(timestamp, HIGHEST), LOWEST)) if timestamp == timestamp else LOWEST
    size = abs(int(timestamp))
    coarse = size if size < EXACT else min(EXACT + ((size - EXACT) >> _COARSE_BITS), _LAST - 1)
    return coarse if timestamp >= 0 else -coarse


def first_place(timestamp: Any) -> int:
    """Return the least document number that an event of this time can have."""
    return bucket(timestamp) << PLACE_BITS


def last_place(timestamp: Any) -> int:
    """Return the greatest document number that an event of this time can have."""
    return first_place(timestamp) + PLACES - 1


def second_of(docid: int) -> int:
    """Return the second that a document number stands for, the first of those that share it."""
    second = docid >> PLACE_BITS
    size = abs(second)
    fine = size if size < EXACT else EXACT + ((size - EXACT) << _COARSE_BITS)
    return fine if second >= 0 else -fine


def when(seconds: Any) -> str:
    """Return a time in words, as pages write it."""
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "an invalid time"


def key(timestamp: Any, rowid: int) -> tuple[int, Any, int]:
    """Return what sorts as SQLite's `ORDER BY timestamp, rowid`: nothing, numbers, texts, blobs."""
    raw = getattr(timestamp, "raw", timestamp)
    raw = getattr(raw, "raw", raw)
    if raw is None:
        return 0, 0, rowid
    if isinstance(raw, int | float):
        return 1, raw, rowid
    if isinstance(raw, bytes):
        return 3, raw, rowid
    return 2, str(raw).encode("utf-8", "surrogateescape"), rowid
