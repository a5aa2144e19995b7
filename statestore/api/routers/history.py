"""An agent's history: past states, diffs, the history of a path, blame, bisect, timeline."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import history
from statestore.access import rights
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.resources import find_past
from statestore.api.responses import answer, listed, tagged
from statestore.api.schemas.common import InTrashIn, Listed
from statestore.api.schemas.history import (
    BisectIn,
    BisectOut,
    BlameOut,
    ChangeOut,
    ChangesIn,
    DiffIn,
    DiffOut,
    MomentOut,
    PathHistoryIn,
    PathHistoryOut,
    RecordedChangeOut,
    StateIn,
    StateOut,
    TimelineEntryOut,
    TimelineIn,
)
from statestore.errors import ValidationError
from statestore.history import Position, moments
from statestore.history.across import Asked, time_range
from statestore.jsondiff import diff, predicate
from statestore.jsondiff.parsing import NotJson

calls = Calls("history")


@calls.call("GET", "/changes", {200: Listed[RecordedChangeOut]}, may="view_agentstate", fails=(404,))
def list_changes(request: HttpRequest, params: Query[ChangesIn]) -> HttpResponse:
    """List what changed across agents in a range of time, newest first: transitions, restores, snapshots, edits.

    `reason` and `person` are looked for in the newest 5,000 of each kind. Edits are listed to callers who may read the
    audit log.
    """
    who = caller(request)
    agent_id = find_past(request, params.agent, trash=True).agent_id if params.agent else ""
    start, end = time_range(params.start, params.end)
    asked = Asked(
        start, end, params.kind, agent_id, params.namespace, params.reason, params.person,
        with_edits=rights.may(who.user, "view_auditentry"),
    )  # fmt: skip
    page = history.changes_across(who.scope, asked, cursor=params.cursor, size=params.limit)
    return listed(page.rows, RecordedChangeOut.of, page.older)


@calls.call("GET", "/agents/{agent_id}/state", {200: StateOut}, may="view_agentstate", tagged=True)
def get_state(request: HttpRequest, agent_id: str, params: Query[StateIn]) -> HttpResponse:
    """Read the state an agent had at a moment."""
    agent = find_past(request, agent_id, trash=params.trash)
    known = history.state_at(agent.agent_id, moments.parse(params.moment))
    return tagged(request, StateOut.of(known, state_data=known.text))


@calls.call("GET", "/agents/{agent_id}/diff", {200: DiffOut}, may="view_agentstate", tagged=True)
def get_diff(request: HttpRequest, agent_id: str, params: Query[DiffIn]) -> HttpResponse:
    """Compare the states of an agent at two moments, or with that of another agent."""
    left = find_past(request, agent_id, trash=params.trash)
    right = find_past(request, params.other, trash=params.trash) if params.other else left
    before = history.state_at(left.agent_id, moments.parse(params.from_))
    after = history.state_at(right.agent_id, moments.parse(params.to))
    return tagged(request, compared(before, after))


def compared(before: history.KnownState, after: history.KnownState) -> DiffOut:
    """Return the differences between two states."""
    sides = {"before": MomentOut.of(before), "after": MomentOut.of(after)}
    if sides["before"].hash == sides["after"].hash:
        return DiffOut(**sides, equal=True, changes=[], truncated=False, coarse=False, why_text=None)
    comparison = diff.compare(before.text, after.text)
    if isinstance(comparison, diff.TextComparison):
        return DiffOut(
            **sides, equal=False, changes=[], truncated=False, coarse=comparison.coarse, why_text=comparison.reason
        )
    changes = [ChangeOut.of(change) for change in comparison.diff.changes]
    found = comparison.diff
    return DiffOut(**sides, equal=False, changes=changes, truncated=found.truncated, coarse=found.coarse, why_text=None)


@calls.call("GET", "/agents/{agent_id}/history", {200: PathHistoryOut}, may="view_agentstate")
def get_path_history(request: HttpRequest, agent_id: str, params: Query[PathHistoryIn]) -> HttpResponse:
    """List every value a path of the state has had, newest first.

    Each response covers as much history as is read in a quarter of a second. Continue with `next` as `cursor` and with
    `place`, which follows a list item as it moves.
    """
    agent = find_past(request, agent_id, trash=params.trash)
    place = params.place if params.place is not None else params.path
    values = history.path_history(agent, place, start=Position.parse(params.cursor))
    return answer(PathHistoryOut.of(values, path=params.path))


@calls.call("GET", "/agents/{agent_id}/blame", {200: BlameOut}, may="view_agentstate")
def get_blame(request: HttpRequest, agent_id: str, params: Query[InTrashIn]) -> HttpResponse:
    """Read which transition last set each value of the state."""
    agent = find_past(request, agent_id, trash=params.trash)
    try:
        blame = history.blame(agent)
    except NotJson as error:
        raise ValidationError(f"The state is not JSON, so it has no values to blame. {error.reason}") from None
    return answer(BlameOut.of(blame, unknown=list(blame.unknown_paths())))


@calls.call("GET", "/agents/{agent_id}/bisect", {200: BisectOut}, may="view_agentstate")
def get_bisect(request: HttpRequest, agent_id: str, params: Query[BisectIn]) -> HttpResponse:
    """Find when a condition on the state became true or false.

    Each response covers as much history as is read in a quarter of a second. Continue with `next` as `cursor`.
    """
    agent = find_past(request, agent_id, trash=params.trash)
    flips = history.bisect(agent, predicate.parse(params.condition), start=Position.parse(params.cursor))
    return answer(BisectOut.of(flips, condition=params.condition))


@calls.call("GET", "/agents/{agent_id}/timeline", {200: Listed[TimelineEntryOut]}, may="view_agentstate")
def get_timeline(request: HttpRequest, agent_id: str, params: Query[TimelineIn]) -> HttpResponse:
    """List an agent's transitions, captured changes and snapshots together, newest first."""
    agent = find_past(request, agent_id, trash=params.trash)
    entries, older = history.timeline(agent.agent_id, cursor=params.cursor, limit=params.limit)
    return listed(entries, TimelineEntryOut.of, older)
