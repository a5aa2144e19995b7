"""What happened in each hour of the last day, or in each stretch of the last week or month, as bars above one axis."""

import json
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from django.urls import reverse
from django.utils.http import urlencode

from statestore import models
from statestore.access.scope import Scope
from statestore.models.querysets import Intervals
from statestore.views.formatting import utc
from statestore.views.svg.axes import TimeTick, ValueTick, nice_top, percent, time_ticks, value_ticks

HOUR_SECONDS: Final = 3600
# Name, what is said of it, bars, seconds of each.
RANGES: Final = (
    ("day", "24 h", 24, HOUR_SECONDS),
    ("week", "7 d", 28, 6 * HOUR_SECONDS),
    ("month", "30 d", 30, 24 * HOUR_SECONDS),
)
# A busy fleet has 300,000 events a day: counting them takes 100 ms, which not every look at the overview shall cost.
CACHED_SECONDS: Final = {"day": 20, "week": 120, "month": 600}
PLOTS: Final = (("events", "Events", 64), ("changes", "Changes", 48), ("errors", "Errors", 32))
# Of the width of a bar's place.
BAR_SHARE: Final = 0.7


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time in one plot: its place in percent of the width, its height in pixels."""

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
    """One stretch of time: its label, what happened in it, the page that shows it, and where it begins and ends."""

    label: str
    url: str
    x: str
    width: str
    events: int
    changes: int
    errors: int
    restores: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The plots of a range above their common axis; `totals` are of the whole range."""

    range_name: str
    start: int
    end: int
    plots: list[Plot]
    stretches: list[Stretch]
    ticks: list[TimeTick]
    totals: dict[str, int]
    zoom: str


def draw(now: int, seen: Scope, range_name: str = "day") -> Chart:
    """Return the chart of what a user sees; its last stretch has not ended yet."""
    name, _, number, seconds = next((one for one in RANGES if one[0] == range_name), RANGES[0])
    start = now - now % seconds - (number - 1) * seconds
    among = Intervals(start, seconds, number)
    counts: dict[str, dict[int, int]] = (
        cache.get_or_set(_key(name, start, seen), lambda: _counts(among, seen), CACHED_SECONDS[name]) or {}
    )
    return Chart(
        name, start, among.end, [_plot(kind, label, height, counts[kind], number) for kind, label, height in PLOTS],
        [_stretch(place, among, counts) for place in range(number)], time_ticks(start, among.end),
        {kind: sum(count.values()) for kind, count in counts.items()},
        f"{reverse('changes')}?start={{start}}&end={{end}}",
    )  # fmt: skip


def _key(name: str, start: int, seen: Scope) -> str:
    namespaces = "" if seen.namespaces is None else models.sha256(json.dumps(sorted(seen.namespaces)))
    return f"activity-{name}-{start}-{namespaces}"


def _counts(among: Intervals, seen: Scope) -> dict[str, dict[int, int]]:
    events, errors = seen.events().counts_and_errors(among)
    return {
        "events": events,
        "errors": errors,
        "changes": seen.transitions().counts(among),
        "restores": seen.restores().counts(among),
    }


def _plot(kind: str, name: str, height: int, counts: dict[int, int], number: int) -> Plot:
    top = nice_top(max(counts.values(), default=0) or 1)
    bars = [_bar(place, counts[place], top, height, number) for place in range(number) if counts.get(place)]
    return Plot(kind, name, height, value_ticks(top, height), bars)


def _bar(place: int, count: int, top: float, height: int, number: int) -> Bar:
    tall = max(1.0, round(height * count / top, 1))
    margin = (1 - BAR_SHARE) / 2
    return Bar(
        percent(place + margin, number), percent(BAR_SHARE, number), height - tall, tall, is_open=place == number - 1
    )


def _stretch(place: int, among: Intervals, counts: dict[str, dict[int, int]]) -> Stretch:
    begins = among.start + place * among.seconds
    query = urlencode({"start": begins, "end": begins + among.seconds - 1})
    return Stretch(
        label=f"{utc(begins):%b %d %H:00}",
        url=f"{reverse('changes')}?{query}",
        x=percent(place, among.number),
        width=percent(1, among.number),
        **{kind: counts[kind].get(place, 0) for kind in ("events", "changes", "errors", "restores")},
    )
