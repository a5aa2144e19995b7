"""An agent's history: past states, diffs, the history of a path, blame, bisect, timeline."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import history, models
from statestore.api import serializers
from statestore.api.calls import Calls
from statestore.api.resources import find_agent
from statestore.api.responses import answer, tagged
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
def get_state(request: HttpRequest, agent_id: str, params: Query[StateIn]) -> HttpResponse:
    """Read the state an agent had at a moment."""
    agent = find_agent(request, agent_id, trash=params.trash)
    known = history.state_at(agent.agent_id, moments.parse(params.moment))
    digest = models.sha256(known.text)
    return tagged(
        request,
        {
            **_moment(known, digest),
            "is_exact": known.is_exact,
            "doubt_until_seconds": known.doubt_until,
            **serializers.state(known.text),
            "raw": serializers.odd_bytes(SimpleNamespace(state_data=known.text), ("state_data",)),
        },
    )


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
def get_diff(request: HttpRequest, agent_id: str, params: Query[DiffIn]) -> HttpResponse:
    """Compare the states of an agent at two moments, or with that of another agent."""
    left = find_agent(request, agent_id, trash=params.trash)
    right = find_agent(request, params.other, trash=params.trash) if params.other else left
    before = history.state_at(left.agent_id, moments.parse(params.from_))
    after = history.state_at(right.agent_id, moments.parse(params.to))
    return tagged(request, compared(before, after))


def compared(before: history.KnownState, after: history.KnownState) -> dict[str, object]:
    """Return the differences between two states."""
    hashes = models.sha256(before.text), models.sha256(after.text)
    comparison = diff.compare(before.text, after.text) if hashes[0] != hashes[1] else None
    is_text = isinstance(comparison, diff.TextComparison)
    changes = [] if comparison is None or is_text else comparison.diff.changes  # type: ignore[union-attr]
    return {
        "before": _moment(before, hashes[0]),
        "after": _moment(after, hashes[1]),
        "equal": hashes[0] == hashes[1],
        "changes": [serializers.change(change) for change in changes],
        "truncated": not (comparison is None or is_text) and comparison.diff.truncated,  # type: ignore[union-attr]
        "why_text": comparison.reason if is_text else None,  # type: ignore[union-attr]
    }


@calls.call("GET", "/agents/{agent_id}/history", {200: PathHistoryOut}, may="view_agentstate")
def get_path_history(request: HttpRequest, agent_id: str, params: Query[PathHistoryIn]) -> HttpResponse:
    """List every value a path of the state has had, newest first.

    Each response covers as much history as is read in a quarter of a second. Continue with `next` as `cursor` and with
    `place`, which follows a list item as it moves.
    """
    agent = find_agent(request, agent_id, trash=params.trash)
    place = params.place if params.place is not None else params.path
    values = history.path_history(agent, place, start=Position.parse(params.cursor))
    items = [
        {
            "origin": serializers.origin(change.origin),
            "path": serializers.text(change.path),
            "was_there": change.before is not MISSING,
            "is_there": change.after is not MISSING,
            "before": serializers.value(change.before),
            "after": serializers.value(change.after),
        }
        for change in values.changes
    ]
    cursor = None if values.reached is None else str(values.reached)
    return answer({"path": params.path, "place": serializers.text(values.place), "items": items, "next": cursor})


@calls.call("GET", "/agents/{agent_id}/blame", {200: BlameOut}, may="view_agentstate")
def get_blame(request: HttpRequest, agent_id: str, params: Query[InTrashIn]) -> HttpResponse:
    """Read which transition last set each value of the state."""
    agent = find_agent(request, agent_id, trash=params.trash)
    try:
        blame = history.blame(agent)
    except NotJson as error:
        raise ValidationError(f"The state is not JSON, so it has no values to blame. {error.reason}") from None
    origins = {serializers.text(path): serializers.origin(origin) for path, origin in blame.origins.items()}
    return answer(
        {
            "complete": blame.is_complete,
            "origins": origins,
            "unknown": [serializers.text(path) for path in blame.unknown_paths()],
        }
    )


@calls.call("GET", "/agents/{agent_id}/bisect", {200: BisectOut}, may="view_agentstate")
def get_bisect(request: HttpRequest, agent_id: str, params: Query[BisectIn]) -> HttpResponse:
    """Find when a condition on the state became true or false.

    Each response covers as much history as is read in a quarter of a second. Continue with `next` as `cursor`.
    """
    agent = find_agent(request, agent_id, trash=params.trash)
    flips = history.bisect(agent, predicate.parse(params.condition), start=Position.parse(params.cursor))
    return answer(
        {
            "condition": params.condition,
            "holds_last": flips.held_last,
            "held_first": flips.held_first,
            "items": [{"became": flip.became, "origin": serializers.origin(flip.origin)} for flip in flips.flips],
            "next": None if flips.reached is None else str(flips.reached),
        }
    )


@calls.call("GET", "/agents/{agent_id}/timeline", {200: Listed[TimelineEntryOut]}, may="view_agentstate")
def get_timeline(request: HttpRequest, agent_id: str, params: Query[TimelineIn]) -> HttpResponse:
    """List an agent's transitions, captured changes and snapshots together, newest first."""
    agent = find_agent(request, agent_id, trash=params.trash)
    entries, older = history.timeline(agent.agent_id, cursor=params.cursor, limit=params.limit)
    serialize: dict[str, Callable[[Any], Any]] = {
        "transition": serializers.transition_row,
        "captured": serializers.captured_row,
        "snapshot": serializers.snapshot_row,
    }
    items = [
        {
            "kind": entry.kind,
            "at": serializers.iso(entry.at),
            "at_seconds": serializers.number(entry.at),
            entry.kind: serialize[entry.kind](entry.row),
        }
        for entry in entries
    ]
    return answer({"items": items, "next": older})
