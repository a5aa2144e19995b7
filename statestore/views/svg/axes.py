"""Axes: where the ticks of times and of numbers are, and what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

MINUTE, HOUR, DAY = 60, 3600, 86400
# A tick stands at one of these widths, so that clocks show it.
_TIME_STEPS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(HOUR * number for number in (1, 2, 3, 6, 12)),
    *(DAY * number for number in (1, 2, 7, 14, 30, 90, 365, 3650)),
)
# The last second that a clock can show; a program may have written any number.
_LAST_SECOND: Final = 253_402_300_799
_TIME_TICKS: Final = 8
# Labels nearer to an end than this would be cut.
_MARGIN_PERCENT: Final = 3
# A time of the day that stands beside that of a day's beginning would be written over it.
_APART_PERCENT: Final = 7
_FAR_PERCENT: Final = 32


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A tick: where it is, in percent of the width, and its label; `is_day` if a day begins there.

    `is_rare`: it is one of the few whose labels a narrow screen has room for.
    """

    percent: str
    label: str
    is_day: bool
    is_rare: bool


@dataclass(frozen=True, slots=True)
class ValueTick:
    """A tick: its distance from the top in pixels, and its label."""

    y: float
    label: str


def percent(part: float, whole: float) -> str:
    """Return a share as SVG takes it, such as `12.5%`."""
    return f"{100 * part / whole if whole else 0:.2f}".rstrip("0").rstrip(".") + "%"


def time_ticks(start: int, end: int) -> list[TimeTick]:
    """Return up to eight ticks at full units of the clock in UTC, and one where each day begins, if few begin."""
    step = _step(start, end)
    at_clock = set(_multiples(start, end, step))
    days = set(_multiples(start, end, DAY)) if end - start <= _TIME_TICKS * DAY else set()
    ticks = [(at, 100 * (at - start) / max(end - start, 1)) for at in sorted(at_clock | days)]
    shown = [
        (at, share)
        for at, share in _apart(ticks)
        if _MARGIN_PERCENT <= share <= 100 - _MARGIN_PERCENT and 0 <= at <= _LAST_SECOND
    ]
    rare = _rare(shown)
    return [
        TimeTick(percent(at - start, end - start), _label(at, step, is_day=at % DAY == 0), at % DAY == 0, at in rare)
        for at, _ in shown
    ]


def _step(start: int, end: int) -> int:
    return next((step for step in _TIME_STEPS if (end - start) / step <= _TIME_TICKS), _TIME_STEPS[-1])


def _multiples(start: int, end: int, step: int) -> Iterator[int]:
    return iter(range(-(-start // step) * step, end + 1, step)[:100])


def _apart(ticks: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the ticks without those that stand too near to the beginning of a day."""
    near = {
        other[0] if one[0] % DAY == 0 else one[0]
        for one, other in pairwise(ticks)
        if other[1] - one[1] < _APART_PERCENT and (one[0] % DAY == 0) != (other[0] % DAY == 0)
    }
    return [tick for tick in ticks if tick[0] not in near]


def _rare(ticks: list[tuple[int, float]]) -> set[int]:
    """Return the ticks that are far enough from each other for a narrow screen, those of days first."""
    chosen: list[tuple[int, float]] = []
    for at, share in sorted(ticks, key=lambda tick: tick[0] % DAY != 0):
        if all(abs(share - other) >= _FAR_PERCENT for _, other in chosen) and share >= _MARGIN_PERCENT * 2:
            chosen.append((at, share))
    return {at for at, _ in chosen}


def _label(at: int, step: int, *, is_day: bool) -> str:
    moment = datetime.fromtimestamp(min(max(at, 0), _LAST_SECOND), UTC)
    if step >= 90 * DAY:
        return f"{moment:%b %Y}"
    if is_day:
        return f"{moment:%a} {moment.day} {moment:%b}"
    return f"{moment:%H:%M:%S}" if step < MINUTE else f"{moment:%H:%M}"


def nice_top(most: float) -> float:
    """Return the least number of the form 1, 2, 4, 5 or 10 times a power of ten that is not below `most`."""
    power = 1.0
    while power * 10 < most:
        power *= 10
    return next(power * factor for factor in (1, 2, 4, 5, 10) if power * factor >= most)


def value_ticks(top: float, height: float) -> list[ValueTick]:
    """Return the ticks of a scale from zero at the bottom to `top`: both ends, and the middle where it is whole."""
    values = [top, top / 2, 0] if top % 2 == 0 else [top, 0]
    return [ValueTick(round(height - height * value / top, 1), f"{value:,.0f}") for value in values]
