"""Bulk actions: one change to each of many agents, in one call."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from statestore.agents import bulk
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.resources import id_of
from statestore.api.responses import answer
from statestore.api.schemas.bulk import BulkOut, BulkSnapshotIn, BulkStatusIn, OutcomeOut

calls = Calls("agents")


@calls.call("POST", "/bulk/snapshots", {200: BulkOut}, scope="write", may="snapshot_agent")
def take_snapshots(request: HttpRequest, body: BulkSnapshotIn) -> HttpResponse:
    """Take a snapshot of each given agent.

    An agent that fails does not stop the others; `items` has the outcome of each. If an agent does not exist, nothing
    is done.
    """
    who, ids = caller(request), _ids(request, body.agents)

    def work(seed: str | None) -> HttpResponse:
        return _answered(bulk.snapshot_each(who.scope.using, ids, body.description, by=who.actor, seed=seed))

    return run_resumable(request, work)


@calls.call("POST", "/bulk/status", {200: BulkOut}, scope="write", may="change_agent_status")
def change_statuses(request: HttpRequest, body: BulkStatusIn) -> HttpResponse:
    """Set the status of each given agent. Each change is recorded as a transition.

    An agent that fails does not stop the others; `items` has the outcome of each. If an agent does not exist, nothing
    is done.
    """
    who, ids = caller(request), _ids(request, body.agents)

    def work(seed: str | None) -> HttpResponse:
        return _answered(
            bulk.change_status_of_each(who.scope.using, ids, body.status, by=who.actor, reason=body.reason)
        )

    return run_resumable(request, work)


def _ids(request: HttpRequest, addresses: Sequence[str]) -> list[str]:
    return caller(request).scope.agent_ids([id_of(address, "agent") for address in addresses])


def _answered(outcomes: Sequence[bulk.Outcome]) -> HttpResponse:
    items = [OutcomeOut.of(outcome) for outcome in outcomes]
    return answer(BulkOut(done=sum(item.refused is None for item in items), items=items))
