"""Snapshots: taken, read, deleted, put back in one call."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.responses import answer, if_match, if_match_of_present, listed, nothing, resource
from statestore.api.routers.agents import found_agent
from statestore.api.routers.restores import answered
from statestore.api.schemas.agents import NO_REASON, ReasonIn
from statestore.api.schemas.common import AgentPageIn, Listed, PageIn
from statestore.api.schemas.history import (
    PLAIN_SNAPSHOT,
    DeletedOut,
    NewSnapshotOut,
    SnapshotIn,
    SnapshotOut,
    SnapshotRowOut,
)
from statestore.api.schemas.restores import RestoredOut
from statestore.db import pagination
from statestore.errors import NotFound
from statestore.models.querysets import BY_CREATION
from statestore.restore.apply import restore_now

calls = Calls("snapshots")


def found_snapshot(request: HttpRequest, address: str) -> models.Snapshot:
    """Return a snapshot that the caller can see, by its id as it stands in paths. Raises NotFound."""
    row: models.Snapshot | None = caller(request).scope.snapshots().named(id_of(address, "snapshot"))
    if row is None:
        raise NotFound(f"There is no snapshot “{address[:80]}” here. It may have expired and been deleted.")
    return row


@calls.call("GET", "/snapshots", {200: Listed[SnapshotRowOut]}, may="view_snapshot")
def list_snapshots(request: HttpRequest, asked: Query[PageIn]) -> HttpResponse:
    """List the snapshots of all agents, newest first, without their states."""
    rows = caller(request).scope.snapshots().without_state().with_size()
    return answer(
        listed(pagination.page(rows, BY_CREATION, cursor=asked.cursor, size=asked.limit), serializers.snapshot_row)
    )


@calls.call("GET", "/agents/{agent_id}/snapshots", {200: Listed[SnapshotRowOut]}, may="view_snapshot")
def list_agent_snapshots(request: HttpRequest, agent_id: str, asked: Query[AgentPageIn]) -> HttpResponse:
    """List an agent's snapshots, newest first, without their states."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    rows = models.Snapshot.objects.of_agent(agent.agent_id).without_state().with_size()
    return answer(
        listed(pagination.page(rows, BY_CREATION, cursor=asked.cursor, size=asked.limit), serializers.snapshot_row)
    )


@calls.call(
    "POST", "/agents/{agent_id}/snapshots", {201: NewSnapshotOut}, scope="write", may="snapshot_agent", tagged=True,
    conditional=True,
)  # fmt: skip
def take_snapshot(request: HttpRequest, agent_id: str, body: SnapshotIn = PLAIN_SNAPSHOT) -> HttpResponse:
    """Keep a copy of an agent's state now, byte for byte. `If-Match` takes the agent's ETag."""

    def write() -> HttpResponse:
        agent = found_agent(request, agent_id)
        made = (
            caller(request)
            .store()
            .create_snapshot(agent.agent_id, body.description, expires_at=body.expires_at, if_match=if_match(request))
        )
        row, etag = serializers.snapshot_row(made), models.row_hash(made)
        return answer({**row, "etag": etag}, status=201, headers={"Location": row["url"], "ETag": f'"{etag}"'})

    return run_in_transaction(request, write)


@calls.call("POST", "/snapshots/delete-expired", {200: DeletedOut}, scope="admin", may="snapshot_agent")
def delete_expired_snapshots(request: HttpRequest) -> HttpResponse:
    """Delete the snapshots whose time is over."""
    who = caller(request)

    def work(seed: str | None) -> HttpResponse:
        return answer({"deleted": who.store().delete_expired_snapshots(who.scope.snapshots())})

    return run_resumable(request, work)


@calls.call("GET", "/snapshots/{snapshot_id}", {200: SnapshotOut}, may="view_snapshot", tagged=True)
def get_snapshot(request: HttpRequest, snapshot_id: str) -> HttpResponse:
    """Read a snapshot with its state."""
    row = found_snapshot(request, snapshot_id)
    return resource(request, models.row_hash(row), lambda: serializers.snapshot(row))


@calls.call("DELETE", "/snapshots/{snapshot_id}", {204: None}, scope="write", may="snapshot_agent")
def delete_snapshot(request: HttpRequest, snapshot_id: str) -> HttpResponse:
    """Delete a snapshot. One that an undo would need goes too: that restore then cannot be undone."""
    row = found_snapshot(request, snapshot_id)
    caller(request).store().delete_snapshot(row.pk, if_match=if_match(request))
    return nothing()


@calls.call(
    "POST",
    "/snapshots/{snapshot_id}/restore",
    {201: RestoredOut},
    scope="restore",
    may="restore_agent",
    tagged=True,
    conditional=True,
)
def restore_snapshot(request: HttpRequest, snapshot_id: str, body: ReasonIn = NO_REASON) -> HttpResponse:
    """Put a snapshot's state back, at once.

    `If-Match` takes the agent's ETag: where it has changed since, nothing is written. Without it the state is put back
    over whatever the agent is now, which is kept as a safety snapshot; POST /restores/{id}/undo brings that back.
    """

    def write() -> HttpResponse:
        row = found_snapshot(request, snapshot_id)
        done = restore_now(row, by=caller(request).actor, if_match=if_match_of_present(request), reason=body.reason)
        return answered(request, done)

    return run_in_transaction(request, write)
