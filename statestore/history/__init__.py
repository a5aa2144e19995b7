"""An agent's past.

steps     the recorded changes, walked from the newest back for a bounded time
states    the state at a moment, and how it is known
timeline  what happened, in one list and in lanes
blame     what set each leaf of the state
values    every value that one path ever had
flips     when a condition became true
commits   at which git commit something happened
"""

from statestore.history.bisect import Flip, Flips, bisect
from statestore.history.blame import Blame, blame
from statestore.history.commits import commits
from statestore.history.state_at import KnownState, find_transition, recorded_state, state_at, states_at
from statestore.history.timeline import (
    LANE_COLUMNS,
    LANE_MOST,
    Lane,
    Span,
    Stop,
    TimelineEntry,
    lanes,
    latest_events,
    neighbours,
    span_of,
    stop_at,
    timeline,
)
from statestore.history.value_history import PathHistory, ValueChange, path_history
from statestore.history.walk import Origin, Position

__all__ = [
    "LANE_COLUMNS",
    "LANE_MOST",
    "Blame",
    "Flip",
    "Flips",
    "KnownState",
    "Lane",
    "Origin",
    "PathHistory",
    "Position",
    "Span",
    "Stop",
    "TimelineEntry",
    "ValueChange",
    "bisect",
    "blame",
    "commits",
    "find_transition",
    "lanes",
    "latest_events",
    "neighbours",
    "path_history",
    "recorded_state",
    "span_of",
    "state_at", "states_at",
    "stop_at",
    "timeline",
]  # fmt: skip
