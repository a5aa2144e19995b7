"""A line through the samples, by least squares: how fast the bytes grow, and when the disk is full."""

from collections.abc import Sequence
from dataclasses import dataclass

from statestore.growth.limits import DAY, HOUR

_FARTHEST_SECONDS = 100 * 365 * DAY


@dataclass(frozen=True, slots=True)
class Forecast:
    """The growth per day, from how many samples of how long; when the disk is full, None if it will not be."""

    bytes_per_day: int
    samples: int
    seconds: int
    full_at: int | None


def forecast(samples: Sequence[tuple[int, int]], free_bytes: int | None) -> Forecast | None:
    """Return the forecast from (time, bytes), oldest first; None for fewer than three, or for less than an hour."""
    if len(samples) < 3 or samples[-1][0] - samples[0][0] < HOUR:
        return None
    slope = _slope(samples)
    last, span = samples[-1][0], samples[-1][0] - samples[0][0]
    left = free_bytes / slope if free_bytes is not None and slope > 0 else _FARTHEST_SECONDS
    full_at = last + int(left) if left < _FARTHEST_SECONDS else None
    return Forecast(round(slope * DAY), len(samples), span, full_at)


def _slope(samples: Sequence[tuple[int, int]]) -> float:
    """Return the bytes per second of the line with the least squares."""
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(size for _, size in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (size - mean) for at, size in samples) / spread
