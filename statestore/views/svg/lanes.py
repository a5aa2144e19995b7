"""The lanes of a timeline: an agent's records by kind, as columns over time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.urls import reverse
from django.utils.html import escape
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from statestore import history, models
from statestore.history import limits as history_limits

MARK_WIDTH: Final = 5
LANE_HEIGHT: Final = 20
# Of a mark for one record; it grows with their number.
MARK_HEIGHT: Final = 8
VIEW_BOX: Final = f"0 0 {history_limits.LANE_COLUMNS * MARK_WIDTH} {LANE_HEIGHT}"


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane with its marks."""

    name: str
    note: str
    marks: SafeString

    @property
    def is_empty(self) -> bool:
        """Whether nothing of its kind happened."""
        return not self.marks


def draw(agent: models.AgentState, span: history.Span, kept: dict[str, int]) -> list[LaneView]:
    """Return an agent's lanes over a span; `kept` are the page's parameters that their links keep."""
    base = escape(f"{reverse('timeline', args=[agent.agent_id])}?{urlencode([*kept.items(), ('moment', 'at:')])}")
    return [
        # Each mark is escaped where it is made.
        LaneView(lane.name, lane.note, mark_safe("".join(_marks(base, lane, span))))  # noqa: S308
        for lane in history.lanes(agent.agent_id, span)
    ]


def _marks(base: str, lane: history.Lane, span: history.Span) -> Iterator[str]:
    return (_mark(base, lane, span, column) for column in sorted(lane.counts))


def _mark(base: str, lane: history.Lane, span: history.Span, column: int) -> str:
    """Return one column of a lane as a link, which is `base` and a time. Written out: a page has hundreds of them."""
    count = lane.counts[column]
    height = MARK_HEIGHT + round((LANE_HEIGHT - MARK_HEIGHT) * count / history_limits.LANE_COLUMN_ROWS)
    label = escape(f"{count} {'or more ' if count == history_limits.LANE_COLUMN_ROWS else ''}{lane.name}")
    return (
        f'<a href="{base}{span.ends_at(column)}" tabindex="-1"><title>{label}</title>'
        f'<rect x="{column * MARK_WIDTH}" y="{LANE_HEIGHT - height}" width="4" height="{height}"/></a>'
    )
