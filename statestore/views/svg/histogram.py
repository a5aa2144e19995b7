"""The histogram of a search: its matches over time, each bar a link that zooms in."""

from dataclasses import dataclass
from typing import Final

from statestore import search
from statestore.search import Query
from statestore.views import search_page
from statestore.views.formatting import utc

# The last time that a column can hold.
LAST_TIME: Final = (1 << 63) - 1
WIDTH: Final = 720
HEIGHT: Final = 48


@dataclass(frozen=True, slots=True)
class Column:
    """One bar of the histogram, and the URL that zooms into it."""

    title: str
    url: str
    x: float
    y: int
    width: float
    height: int


def draw(query: Query, histogram: search.Histogram) -> list[Column]:
    """Return the histogram's bars."""
    top = max((bar.count for bar in histogram.bars), default=0) or 1
    width = WIDTH / max(len(histogram.bars), 1)
    drawn = []
    for number, bar in enumerate(histogram.bars):
        height = max(2, round(HEIGHT * bar.count / top)) if bar.count else 0
        drawn.append(
            Column(
                title=f"{_time(bar.start)} – {_time(bar.end)} UTC: {_number(bar)} events",
                url=search_page.address(query.between(bar.start, bar.end if bar.end <= LAST_TIME else None)),
                x=round(number * width, 2),
                y=HEIGHT - height,
                width=round(max(width - 1, 1), 2),
                height=height,
            )
        )
    return drawn


def _number(bar: search.Bar) -> str:
    return f"about {bar.count:,}" if bar.is_estimate else f"{bar.count:,}"


def _time(seconds: int) -> str:
    moment = utc(seconds)
    if moment is None:
        return str(seconds)
    return moment.strftime("%Y-%m-%d %H:%M" if seconds % 60 == 0 else "%Y-%m-%d %H:%M:%S")
