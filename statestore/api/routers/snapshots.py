"""Snapshots: take, read, delete, restore in one call."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.access.scope import Scope
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.resources import Resource, find_agent, find_past
from statestore.api.responses import answer, if_match, if_match_of_present, no_content, page_of, written
from statestore.api.routers.restores import answered
from statestore.api.schemas.common import AgentPageIn, Listed, PageIn
from statestore.api.schemas.restores import NO_STATUS, RestoredOut, RestoreSnapshotIn
from statestore.api.schemas.snapshots import (
    PLAIN_SNAPSHOT,
    DeletedOut,
    NewSnapshotOut,
    SnapshotIn,
    SnapshotOut,
    SnapshotRowOut,
)
from statestore.models.querysets import BY_CREATION
from statestore.restore.apply import restore_now

calls = Calls("snapshots")
SNAPSHOT = Resource("snapshot", Scope.snapshots, SnapshotOut.of, hint="It may have expired.")


@calls.call("GET", "/snapshots", {200: Listed[SnapshotRowOut]}, may="view_snapshot")
def list_snapshots(request: HttpRequest, params: Query[PageIn]) -> HttpResponse:
    """List snapshots of all agents without their states, newest first."""
    rows = caller(request).scope.snapshots().without_state().with_size()
    return page_of(rows, BY_CREATION, params, SnapshotRowOut.of)


@calls.call("GET", "/agents/{agent_id}/snapshots", {200: Listed[SnapshotRowOut]}, may="view_snapshot")
def list_agent_snapshots(request: HttpRequest, agent_id: str, params: Query[AgentPageIn]) -> HttpResponse:
    """List an agent's snapshots without their states, newest first."""
    agent = find_past(request, agent_id, trash=params.trash)
    rows = models.Snapshot.objects.of_agent(agent.agent_id).without_state().with_size()
    return page_of(rows, BY_CREATION, params, SnapshotRowOut.of)


@calls.action("/agents/{agent_id}/snapshots", {201: NewSnapshotOut}, scope="write", may="snapshot_agent")
def take_snapshot(request: HttpRequest, agent_id: str, body: SnapshotIn = PLAIN_SNAPSHOT) -> HttpResponse:
    """Take a snapshot of an agent's current state, byte for byte. `If-Match` takes the agent's ETag."""

    def write() -> HttpResponse:
        agent = find_agent(request, agent_id)
        store = caller(request).store()
        snapshot = store.create_snapshot(
            agent.agent_id, body.description, expires_at=body.expires_at, if_match=if_match(request)
        )
        payload = NewSnapshotOut.of(snapshot)
        return written(payload, etag=payload.etag, is_new=True)

    return run_in_transaction(request, write)


@calls.call("POST", "/snapshots/delete-expired", {200: DeletedOut}, scope="admin", may="snapshot_agent")
def delete_expired_snapshots(request: HttpRequest) -> HttpResponse:
    """Delete expired snapshots."""
    who = caller(request)

    def work(seed: str | None) -> HttpResponse:
        return answer(DeletedOut(deleted=who.store().delete_expired_snapshots(who.scope.snapshots())))

    return run_resumable(request, work)


@calls.call("GET", "/snapshots/{snapshot_id}", {200: SnapshotOut}, may="view_snapshot", tagged=True)
def get_snapshot(request: HttpRequest, snapshot_id: str) -> HttpResponse:
    """Read a snapshot with its state."""
    return SNAPSHOT.read(request, snapshot_id)


@calls.call("DELETE", "/snapshots/{snapshot_id}", {204: None}, scope="write", may="snapshot_agent")
def delete_snapshot(request: HttpRequest, snapshot_id: str) -> HttpResponse:
    """Delete a snapshot. If it is the safety snapshot of a restore, that restore can no longer be undone."""
    row = SNAPSHOT.find(request, snapshot_id)
    caller(request).store().delete_snapshot(row.pk, if_match=if_match(request))
    return no_content()


@calls.action("/snapshots/{snapshot_id}/restore", {201: RestoredOut}, scope="restore", may="restore_agent")
def restore_snapshot(request: HttpRequest, snapshot_id: str, body: RestoreSnapshotIn = NO_STATUS) -> HttpResponse:
    """Restore an agent from a snapshot, in one call.

    `If-Match` takes the agent's ETag; if the agent has changed, nothing is written. Without it the agent's current
    state is overwritten. That state is kept as a safety snapshot; `POST /restores/{id}/undo` restores it.
    """

    def write() -> HttpResponse:
        row = SNAPSHOT.find(request, snapshot_id)
        if body.status:
            caller(request).require_permission("change_agent_status")
        applied = restore_now(
            row, by=caller(request).actor, if_match=if_match_of_present(request), reason=body.reason,
            status=body.status or "",
        )  # fmt: skip
        return answered(request, applied)

    return run_in_transaction(request, write)
