"""Bars over time: one plot for each kind above a common axis, each stretch of time a link."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from statestore.models.querysets import Intervals
from statestore.views.formatting import utc
from statestore.views.svg.axes import TimeTick, ValueTick, nice_top, percent, time_ticks, value_ticks

# Of the width of a bar's place.
BAR_SHARE: Final = 0.7

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time in one plot: its place in percent of the width, its height in pixels.

    `is_open`: it has not ended yet.
    """

    x: str
    width: str
    y: float
    height: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """The bars of one kind, with a scale of their own."""

    kind: str
    name: str
    height: int
    ticks: list[ValueTick]
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of time: its label, how much of what there is in it, and the page that shows it."""

    label: str
    url: str
    x: str
    width: str
    numbers: list[int]
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Plots above their common axis; `totals` by kind, and `zoom`, the address of a range that is dragged over."""

    start: int
    end: int
    plots: list[Plot]
    names: list[str]
    stretches: list[Stretch]
    ticks: list[TimeTick]
    totals: dict[str, int]
    zoom: str


def chart(
    among: Intervals,
    counts: Mapping[str, Counts],
    kinds: Sequence[tuple[str, str, int]],
    *,
    now: int,
    url_of: Callable[[int, int], str],
    zoom: str,
    most: int | None = None,
) -> Chart:
    """Return the chart of counts by kind and number of the interval.

    `kinds` are (kind, name, height in pixels); one of height 0 is not drawn, only told. `url_of` gives the address of
    a stretch by its first and last second. No count goes beyond `most`.
    """
    return Chart(
        among.start,
        among.end,
        [_plot(kind, name, height, counts[kind], among, now) for kind, name, height in kinds if height],
        [name for _, name, _ in kinds],
        [_stretch(place, among, counts, kinds, url_of, most) for place in range(among.number)],
        time_ticks(among.start, among.end),
        {kind: sum(counts[kind].values()) for kind, _, _ in kinds},
        zoom,
    )


def _plot(kind: str, name: str, height: int, counts: Counts, among: Intervals, now: int) -> Plot:
    top = nice_top(max(counts.values(), default=0) or 1)
    open_place = (now - among.start) // among.seconds
    bars = [
        _bar(place, counts[place], top, height, among.number, is_open=place == open_place)
        for place in range(among.number)
        if counts.get(place)
    ]
    return Plot(kind, name, height, value_ticks(top, height), bars)


def _bar(place: int, count: int, top: float, height: int, number: int, *, is_open: bool) -> Bar:
    tall = max(1.0, round(height * count / top, 1))
    margin = (1 - BAR_SHARE) / 2
    return Bar(percent(place + margin, number), percent(BAR_SHARE, number), height - tall, tall, is_open)


def _stretch(
    place: int,
    among: Intervals,
    counts: Mapping[str, Counts],
    kinds: Sequence[tuple[str, str, int]],
    url_of: Callable[[int, int], str],
    most: int | None,
) -> Stretch:
    begins = among.start + place * among.seconds
    label = f"{utc(begins):%b %d %H:%M}" if utc(begins) else str(begins)
    numbers = [counts[kind].get(place, 0) for kind, _, _ in kinds]
    words = [
        f"{number:,}{' or more' if number == most else ''} {name.lower()}"
        for number, (_, name, _) in zip(numbers, kinds, strict=True)
    ]
    return Stretch(
        label, url_of(begins, begins + among.seconds - 1), percent(place, among.number), percent(1, among.number),
        numbers, f"{label}: {', '.join(words)}",
    )  # fmt: skip
