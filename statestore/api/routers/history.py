"""What an agent was, and what changed: states, differences, the history of a place, blame, bisect, the timeline."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import history, models
from statestore.api import serializers
from statestore.api.calls import Calls
from statestore.api.responses import answer, tagged
from statestore.api.routers.agents import found_agent
from statestore.api.schemas.common import InTrashIn, Listed
from statestore.api.schemas.history import (
    BisectIn,
    BisectOut,
    BlameOut,
    DiffIn,
    DiffOut,
    PathHistoryIn,
    PathHistoryOut,
    StateIn,
    StateOut,
    TimelineEntryOut,
    TimelineIn,
)
from statestore.errors import ValidationError
from statestore.history import Position, moments
from statestore.jsondiff import diff, predicate
from statestore.jsondiff.diff import MISSING
from statestore.jsondiff.parsing import NotJson

calls = Calls("history")


@calls.call("GET", "/agents/{agent_id}/state", {200: StateOut}, may="view_agentstate", tagged=True)
def get_state(request: HttpRequest, agent_id: str, asked: Query[StateIn]) -> HttpResponse:
    """Read the state that an agent had at a moment, and how it is known."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    known = history.state_at(agent.agent_id, moments.parse(asked.moment))
    digest = models.sha256(known.text)
    return tagged(
        request,
        {
            **_moment(known, digest),
            "is_exact": known.is_exact,
            "doubt_until_seconds": known.doubt_until,
            **serializers.state(known.text),
            "raw": serializers.odd_bytes(_Held(known.text), ("state_data",)),
        },
    )


class _Held:
    """A state under the name of its column."""

    def __init__(self, state_data: str) -> None:
        self.state_data = state_data


def _moment(known: history.KnownState, digest: str) -> dict[str, object]:
    return {
        "agent_id": serializers.text(known.agent_id),
        "moment": str(known.moment),
        "label": serializers.text(known.label),
        "at": serializers.iso(known.at),
        "at_seconds": serializers.number(known.at),
        "hash": digest,
    }


@calls.call("GET", "/agents/{agent_id}/diff", {200: DiffOut}, may="view_agentstate", tagged=True)
def get_diff(request: HttpRequest, agent_id: str, asked: Query[DiffIn]) -> HttpResponse:
    """Compare two moments of an agent, or one of it and one of another agent."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    other = found_agent(request, asked.other, trash=asked.trash) if asked.other else agent
    before = history.state_at(agent.agent_id, moments.parse(asked.from_))
    after = history.state_at(other.agent_id, moments.parse(asked.to))
    return tagged(request, compared(before, after))


def compared(before: history.KnownState, after: history.KnownState) -> dict[str, object]:
    """Return how two states differ."""
    hashes = models.sha256(before.text), models.sha256(after.text)
    found = diff.compare(before.text, after.text) if hashes[0] != hashes[1] else None
    is_text = isinstance(found, diff.TextComparison)
    changes = [] if found is None or is_text else found.diff.changes  # type: ignore[union-attr]
    return {
        "before": _moment(before, hashes[0]),
        "after": _moment(after, hashes[1]),
        "equal": hashes[0] == hashes[1],
        "changes": [serializers.change(change) for change in changes],
        "truncated": not (found is None or is_text) and found.diff.truncated,  # type: ignore[union-attr]
        "why_text": found.reason if is_text else None,  # type: ignore[union-attr]
    }


@calls.call("GET", "/agents/{agent_id}/history", {200: PathHistoryOut}, may="view_agentstate")
def get_path_history(request: HttpRequest, agent_id: str, asked: Query[PathHistoryIn]) -> HttpResponse:
    """Read every value that one place of the state had, newest first.

    Reading the past takes time: each answer reads for a quarter of a second. Go on with `next` as `cursor` and with
    `place`: an item of a list is followed as it moves.
    """
    agent = found_agent(request, agent_id, trash=asked.trash)
    place = asked.place if asked.place is not None else asked.path
    found = history.path_history(agent, place, start=Position.parse(asked.cursor))
    items = [
        {
            "origin": serializers.origin(change.origin),
            "path": serializers.text(change.path),
            "was_there": change.before is not MISSING,
            "is_there": change.after is not MISSING,
            "before": serializers.value(change.before),
            "after": serializers.value(change.after),
        }
        for change in found.changes
    ]
    reached = None if found.reached is None else str(found.reached)
    return answer({"path": asked.path, "place": serializers.text(found.place), "items": items, "next": reached})


@calls.call("GET", "/agents/{agent_id}/blame", {200: BlameOut}, may="view_agentstate")
def get_blame(request: HttpRequest, agent_id: str, asked: Query[InTrashIn]) -> HttpResponse:
    """Tell for each value of the state which transition set it last."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    try:
        found = history.blame(agent)
    except NotJson as error:
        raise ValidationError(f"This state is no JSON, so that it has no values to ask about. {error.reason}") from None
    origins = {serializers.text(path): serializers.origin(origin) for path, origin in found.origins.items()}
    return answer(
        {
            "complete": found.is_complete,
            "origins": origins,
            "unknown": [serializers.text(path) for path in found.unknown_paths()],
        }
    )


@calls.call("GET", "/agents/{agent_id}/bisect", {200: BisectOut}, may="view_agentstate")
def get_bisect(request: HttpRequest, agent_id: str, asked: Query[BisectIn]) -> HttpResponse:
    """Find when a condition on the state became true, and when false again."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    found = history.bisect(agent, predicate.parse(asked.condition), start=Position.parse(asked.cursor))
    return answer(
        {
            "condition": asked.condition,
            "holds_last": found.held_last,
            "held_first": found.held_first,
            "items": [{"became": flip.became, "origin": serializers.origin(flip.origin)} for flip in found.flips],
            "next": None if found.reached is None else str(found.reached),
        }
    )


@calls.call("GET", "/agents/{agent_id}/timeline", {200: Listed[TimelineEntryOut]}, may="view_agentstate")
def get_timeline(request: HttpRequest, agent_id: str, asked: Query[TimelineIn]) -> HttpResponse:
    """List an agent's transitions, captured changes and snapshots in one order, newest first."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    entries, older = history.timeline(agent.agent_id, cursor=asked.cursor, limit=asked.limit)
    shape: dict[str, Callable[[Any], Any]] = {
        "transition": serializers.transition_row,
        "captured": serializers.captured_row,
        "snapshot": serializers.snapshot_row,
    }
    items = [
        {
            "kind": entry.kind,
            "at": serializers.iso(entry.at),
            "at_seconds": serializers.number(entry.at),
            entry.kind: shape[entry.kind](entry.row),
        }
        for entry in entries
    ]
    return answer({"items": items, "next": older})
