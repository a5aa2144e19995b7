"""Histograms: how matches spread over time, in bars of equal width."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import Final

from statestore.db.errors import translated_errors
from statestore.models.events import EventQuerySet
from statestore.search import limits
from statestore.search.times import COARSE_STEP, EXACT_BELOW

_WIDTHS_SECONDS: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400,
    7 * 86400, 14 * 86400, 30 * 86400, 91 * 86400, 365 * 86400,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """How many matches there are from `start` to `end` (exclusive)."""

    start: int
    end: int
    count: int
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """Matches over time in bars of equal width; `note` says what they do not cover."""

    bars: list[Bar]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """The times of the newest matches; with `has_more`, older ones were not read."""

    seconds: list[int]
    has_more: bool = False

    def histogram(self, start: int | None, end: int | None) -> Histogram:
        """Return the histogram of these times between two bounds."""
        if self.has_more and self.seconds:
            # Older matches were not counted: no bar may claim that there are none.
            oldest = min(self.seconds)
            start = oldest if start is None else max(start, oldest)
        bars = bars_between(self.seconds, start, end)
        if not bars:
            return Histogram([])
        starts = [low for low, _ in bars]
        counts = Counter(bisect_right(starts, at) - 1 for at in self.seconds if starts[0] <= at < bars[-1][1])
        note = f"Only the newest {len(self.seconds):,} are shown." if self.has_more else ""
        return Histogram([Bar(low, high, counts[number]) for number, (low, high) in enumerate(bars)], note)


def read_times(events: EventQuerySet) -> Times:
    """Return the times of the first SAMPLED_EVENTS of some events."""
    with translated_errors():
        times = list(events.values_list("timestamp", flat=True)[: limits.SAMPLED_EVENTS + 1])
    readable = [int(at) for at in times[: limits.SAMPLED_EVENTS] if getattr(at, "readable", True)]
    return Times(readable, len(times) > limits.SAMPLED_EVENTS)


def bars_between(times: list[int], start: int | None, end: int | None) -> list[tuple[int, int]]:
    """Return the bars, as (start, end), from `start` to `end`; an open end is that of the given times."""
    low = min(times, default=None) if start is None else start
    high = max(times, default=None) if end is None else end - 1
    if low is None or high is None or high < low:
        return []
    most = limits.BARS
    width = next((size for size in _WIDTHS_SECONDS if (high - low) / size < most), (high - low) // most + 1)
    if max(abs(low), abs(high)) >= EXACT_BELOW:
        width = -(-width // COARSE_STEP) * COARSE_STEP  # The index resolves no finer steps.
    bars = ((at, at + width) for at in range(low - low % width, high + 1, width))
    return [(low if start is None else max(low, start), high if end is None else min(high, end)) for low, high in bars]
