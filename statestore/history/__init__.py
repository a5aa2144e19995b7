"""An agent's past.

moments         the grammar of moments: now, snapshot:ID, transition:ID:after, at:TIME
chain           captured and recorded changes of one second in one order
past            the records of an agent in one order, which all below read
remains         what can be read of an agent whose row was deleted
state_at        the state at a moment, and how it is known
walk            recorded changes, walked from the newest back within a time budget
timeline        the list, the lanes, and the stops between which one steps
blame           what set each leaf of the state
value_history   every value that one path ever had
bisect          when a condition became true
across          what changed across all agents
audit_sentences what an audit entry says, as a sentence
recent          the last changes of many agents, for a list
diagnosis       since when an agent is in trouble, and what began it
choices         the moments of an agent to choose from
naming          what moments are called, many at once
commits         at which git commit something happened
"""

from statestore.history.across import ChangePage, ChangeRecord, changes_across, counts_across
from statestore.history.audit_sentences import Reference, Sentence, sentences
from statestore.history.bisect import Flip, Flips, bisect
from statestore.history.blame import Blame, Seam, blame
from statestore.history.choices import NAMES as NAMED_MOMENTS
from statestore.history.choices import Choice, Choices, choices
from statestore.history.commits import commits
from statestore.history.diagnosis import Diagnosis, diagnose
from statestore.history.naming import MomentName, names_of
from statestore.history.past import Past, Position, Record
from statestore.history.recent import Recent, recent_changes
from statestore.history.remains import find_agent, remains_of
from statestore.history.state_at import (
    KnownState,
    find_transition,
    not_there,
    recorded_state,
    state_at,
    state_in,
    states_at,
)
from statestore.history.timeline import Lane, Span, folded, lanes, latest_events, neighbours, span_of, stop_at, timeline
from statestore.history.value_history import PathHistory, ValueChange, path_history
from statestore.history.walk import Cause

__all__ = [
    "NAMED_MOMENTS",
    "Blame",
    "Cause",
    "ChangePage",
    "ChangeRecord",
    "Choice",
    "Choices",
    "Diagnosis",
    "Flip",
    "Flips",
    "KnownState",
    "Lane",
    "MomentName",
    "Past",
    "PathHistory",
    "Position",
    "Recent",
    "Record",
    "Reference",
    "Seam",
    "Sentence",
    "Span",
    "ValueChange",
    "bisect",
    "blame",
    "changes_across",
    "choices",
    "commits",
    "counts_across",
    "diagnose",
    "find_agent",
    "find_transition",
    "folded",
    "lanes",
    "latest_events",
    "names_of",
    "neighbours",
    "not_there",
    "path_history",
    "recent_changes",
    "recorded_state",
    "remains_of",
    "sentences",
    "span_of",
    "state_at",
    "state_in",
    "states_at",
    "stop_at",
    "timeline",
]  # fmt: skip
