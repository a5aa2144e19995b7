"""One thing done to each of many agents, in one call."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from statestore.agents import bulk
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of
from statestore.api.idempotency import run_resumable
from statestore.api.responses import answer
from statestore.api.schemas.bulk import BulkOut, BulkSnapshotIn, BulkStatusIn
from statestore.db.ids import to_address

calls = Calls("agents")


@calls.call("POST", "/bulk/snapshots", {200: BulkOut}, scope="write", may="snapshot_agent")
def take_snapshots(request: HttpRequest, body: BulkSnapshotIn) -> HttpResponse:
    """Take a snapshot of each of some agents.

    One that refuses holds up no other: each is told by itself. Where one of them is not there, nothing is done.
    """
    who, ids = caller(request), _ids(request, body.agents)

    def work(seed: str | None) -> HttpResponse:
        return _told(bulk.snapshot_each(who.scope.using, ids, body.description, by=who.actor, seed=seed))

    return run_resumable(request, work)


@calls.call("POST", "/bulk/status", {200: BulkOut}, scope="write", may="change_agent_status")
def change_statuses(request: HttpRequest, body: BulkStatusIn) -> HttpResponse:
    """Give each of some agents a status; each change is recorded as a transition.

    One that refuses holds up no other: each is told by itself. Where one of them is not there, nothing is done.
    """
    who, ids = caller(request), _ids(request, body.agents)

    def work(seed: str | None) -> HttpResponse:
        return _told(bulk.change_status_of_each(who.scope.using, ids, body.status, by=who.actor, reason=body.reason))

    return run_resumable(request, work)


def _ids(request: HttpRequest, addresses: Sequence[str]) -> list[str]:
    return caller(request).scope.agent_ids([id_of(address, "agent") for address in addresses])


def _told(outcomes: Sequence[bulk.Outcome]) -> HttpResponse:
    items = [
        {
            "agent_id": serializers.text(one.agent_id),
            "address": to_address(one.agent_id),
            "made": None if one.made is None else serializers.text(one.made.pk),
            "refused": serializers.text(one.refusal) or None,
        }
        for one in outcomes
    ]
    done = sum(not one.refusal for one in outcomes)
    return answer({"done": done, "items": items})
