"""One thing done to each of many agents, in one call."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from statestore import bulk
from statestore.addresses import to_address
from statestore.api import shapes
from statestore.api.answers import answer
from statestore.api.callers import caller
from statestore.api.calls import Calls, id_of
from statestore.api.once import stepwise
from statestore.api.schemas.bulk import BulkOut, BulkSnapshotIn, BulkStatusIn

calls = Calls("agents")


@calls.call("POST", "/bulk/snapshots", {200: BulkOut}, scope="write", may="snapshot_agent")
def take_snapshots(request: HttpRequest, body: BulkSnapshotIn) -> HttpResponse:
    """Take a snapshot of each of some agents.

    One that refuses holds up no other: each is told by itself. Where one of them is not there, nothing is done.
    """
    store, ids = caller(request).store(), _ids(request, body.agents)
    return stepwise(request, lambda seed: _told(bulk.snapshot_each(store, ids, body.description, seed=seed)))


@calls.call("POST", "/bulk/status", {200: BulkOut}, scope="write", may="change_agent_status")
def change_statuses(request: HttpRequest, body: BulkStatusIn) -> HttpResponse:
    """Give each of some agents a status; each change is recorded as a transition.

    One that refuses holds up no other: each is told by itself. Where one of them is not there, nothing is done.
    """
    store, ids = caller(request).store(), _ids(request, body.agents)

    def work(seed: str | None) -> HttpResponse:
        return _told(bulk.change_status_of_each(store, ids, body.status, reason=body.reason))

    return stepwise(request, work)


def _ids(request: HttpRequest, addresses: Sequence[str]) -> list[str]:
    return caller(request).reach.agent_ids([id_of(address, "agent") for address in addresses])


def _told(outcomes: Sequence[bulk.Outcome]) -> HttpResponse:
    items = [
        {
            "agent_id": shapes.text(one.agent_id),
            "address": to_address(one.agent_id),
            "made": None if one.made is None else shapes.text(one.made.pk),
            "refused": shapes.text(one.refusal) or None,
        }
        for one in outcomes
    ]
    done = sum(not one.refusal for one in outcomes)
    return answer({"done": done, "items": items})
