"""The histogram of a search: its matches over time, each bar a link that zooms in."""

from dataclasses import dataclass
from html import escape
from typing import Final

from django.utils.safestring import SafeString

from statestore import search
from statestore.search import Query
from statestore.views import search_page
from statestore.views.formatting import utc
from statestore.views.svg.axes import TimeTick, ValueTick, nice_top, percent, time_ticks, value_ticks

# The last time that a column can hold.
LAST_TIME: Final = (1 << 63) - 1
HEIGHT: Final = 48
# Of the width of a bar's place.
BAR_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class HistogramView:
    """The bars as SVG above their axis of time, with a scale; `zoom` is the page of a range that is dragged over."""

    columns: SafeString
    scale: list[ValueTick]
    ticks: list[TimeTick]
    height: int
    start: int
    end: int
    zoom: str


def draw(query: Query, histogram: search.Histogram) -> HistogramView | None:
    """Return the histogram's bars, None where there are none."""
    if not histogram.bars:
        return None
    top = nice_top(max(bar.count for bar in histogram.bars) or 1)
    start, end = histogram.bars[0].start, histogram.bars[-1].end
    columns = (_column(query, bar, number, len(histogram.bars), top) for number, bar in enumerate(histogram.bars))
    return HistogramView(
        SafeString("".join(columns)),
        value_ticks(top, HEIGHT),
        time_ticks(start, end),
        HEIGHT,
        start,
        end,
        search_page.zoom_address(query),
    )


def _column(query: Query, bar: search.Bar, number: int, count: int, top: float) -> str:
    """Return one bar with the link that zooms into it, and the place around it that is pressed.

    Not a template, which takes five times as long for what is but numbers.
    """
    height = max(2.0, round(HEIGHT * bar.count / top, 1)) if bar.count else 0
    title = f"{_time(bar.start)} – {_time(bar.end)} UTC: {_number(bar)} events"
    url = escape(search_page.address(query.between(bar.start, bar.end if bar.end <= LAST_TIME else None)))
    x = percent(number, count)
    return (
        f'<a href="{url}" aria-label="{title}"><title>{title}</title>'
        f'<rect class="bar" x="{x}" width="{percent(BAR_SHARE, count)}" y="{HEIGHT - height}" height="{height}" />'
        f'<rect class="hit" x="{x}" width="{percent(1, count)}" y="-4" height="{HEIGHT + 8}" /></a>'
    )


def _number(bar: search.Bar) -> str:
    return f"about {bar.count:,}" if bar.is_estimate else f"{bar.count:,}"


def _time(seconds: int) -> str:
    moment = utc(seconds)
    if moment is None:
        return str(seconds)
    return moment.strftime("%Y-%m-%d %H:%M" if seconds % 60 == 0 else "%Y-%m-%d %H:%M:%S")
