"""Timestamps as they are stored: seconds, or, in large numbers, milli-, micro- and nanoseconds."""

from datetime import UTC, datetime
from typing import Final

# An integer column of SQLite holds values of any type.
StoredTime = int | float | str | bytes | None
# Below this, each number is a second of its own; above it, the index and the histogram resolve steps of COARSE_STEP.
EXACT_BELOW: Final = 1 << 42
COARSE_BITS: Final = 21
COARSE_STEP: Final = 1 << COARSE_BITS


def time_text(seconds: int | None) -> str:
    """Return a time as pages and notes write it."""
    try:
        return f"{datetime.fromtimestamp(int(seconds or 0), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "an invalid time"
