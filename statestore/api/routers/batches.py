"""Batches: restore many agents to one time, with a single undo."""

from collections import Counter

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models, restore
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.parsers import valid_form
from statestore.api.resources import find, id_of
from statestore.api.responses import answer, check_etag, etag_of, page_of, tagged, written
from statestore.api.schemas.agents import NO_REASON, ReasonIn
from statestore.api.schemas.batches import (
    BatchAgentOut,
    BatchAgentsIn,
    BatchRowOut,
    FleetBatchOut,
    NewBatchIn,
    PreviewBatchIn,
    PreviewBatchOut,
    VerdictOut,
)
from statestore.api.schemas.common import Listed, PageIn
from statestore.forms import FleetForm
from statestore.history import moments
from statestore.restore import limits as restore_limits

calls = Calls("batches")
ORDER = ("-created_at", "-id")


@calls.call("GET", "/batches", {200: Listed[BatchRowOut]}, may="view_restore")
def list_batches(request: HttpRequest, params: Query[PageIn]) -> HttpResponse:
    """List batches, newest first."""
    rows = caller(request).scope.batches().with_counts().with_undo()
    return page_of(rows, ORDER, params, BatchRowOut.of)


@calls.call("POST", "/batches", {201: FleetBatchOut}, scope="restore", may="restore_agent", tagged=True)
def create_batch(request: HttpRequest, body: NewBatchIn) -> HttpResponse:
    """Create a batch from the agents to restore, each with its ETag from the preview, and the time to restore to.

    Apply it within a day with `POST /batches/{id}/apply`. Agents that have changed since the preview are left alone.
    """
    who, seconds = caller(request), moments.parse_time(str(body.at))
    ids = who.scope.agent_ids([id_of(seen.agent, "agent") for seen in body.agents])
    agents = zip(ids, [seen.etag for seen in body.agents], strict=True)

    def write() -> HttpResponse:
        batch = restore.prepare(agents, seconds, by=who.actor, reason=body.reason, scope=body.scope)
        return written(FleetBatchOut.of(_find(request, batch.pk)), is_new=True)

    return run_in_transaction(request, write)


@calls.call("GET", "/batches/preview", {200: PreviewBatchOut}, may="restore_agent")
def preview_batch(request: HttpRequest, params: Query[PreviewBatchIn]) -> HttpResponse:
    """Preview what restoring each matching agent to a time would do. Nothing is written."""
    form, seconds = valid_form(FleetForm, params), moments.parse_time(params.at)
    previews = restore.preview_batch(caller(request).scope.agents(form.chosen()).without_state(), seconds)
    counts = Counter(preview.kind for preview in previews)
    items = [VerdictOut.of(preview) for preview in previews]
    preview = {"at": seconds, "scope": form.scope(), "counts": counts, "items": items}
    return answer(PreviewBatchOut.model_validate(preview))


@calls.call("GET", "/batches/{batch_id}", {200: FleetBatchOut}, may="view_restore", tagged=True)
def get_batch(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Read a batch, with the number of agents by result."""
    return tagged(request, FleetBatchOut.of(_find(request, batch_id)))


@calls.call("GET", "/batches/{batch_id}/agents", {200: Listed[BatchAgentOut]}, may="view_restore")
def list_batch_agents(request: HttpRequest, batch_id: str, params: Query[BatchAgentsIn]) -> HttpResponse:
    """List a batch's agents with the result of each."""
    rows = _find(request, batch_id).items.using(caller(request).scope.using)
    if params.result:
        rows = rows.with_result("" if params.result == "waiting" else params.result)
    return page_of(rows, ("id",), params, BatchAgentOut.of)


@calls.action("/batches/{batch_id}/apply", {200: FleetBatchOut}, scope="restore", may="restore_agent")
def apply_batch(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Restore a batch's waiting agents one by one, for up to ten seconds.

    If `waiting` is then not 0, call again with a new Idempotency-Key. `If-Match` takes the batch's ETag.
    """

    def work(seed: str | None) -> HttpResponse:
        batch = _matching(request, batch_id)
        restore.apply_batch(batch, by=caller(request).actor, budget_seconds=restore_limits.REQUEST_SECONDS)
        return written(FleetBatchOut.of(_find(request, batch_id)))

    return run_resumable(request, work)


@calls.action("/batches/{batch_id}/approve", {200: FleetBatchOut}, scope="approve", may="restore_agent")
def approve_batch(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Approve another user's batch. `If-Match` takes the batch's ETag.

    It takes what the approval of a plan takes.
    """

    def write() -> HttpResponse:
        restore.approve_batch(_matching(request, batch_id), by=caller(request).actor)
        return written(FleetBatchOut.of(_find(request, batch_id)))

    return run_in_transaction(request, write)


@calls.action("/batches/{batch_id}/undo", {201: FleetBatchOut}, scope="restore", may="restore_agent")
def undo_batch(request: HttpRequest, batch_id: str, body: ReasonIn = NO_REASON) -> HttpResponse:
    """Undo a batch: restore what it overwrote, except agents that have changed since, as a new batch.

    It runs for up to ten seconds. If `waiting` is then not 0, apply the new batch. `If-Match` takes the batch's ETag.
    """

    def work(seed: str | None) -> HttpResponse:
        undo, _ = restore.undo_batch(_matching(request, batch_id), by=caller(request).actor, reason=body.reason)
        return written(FleetBatchOut.of(_find(request, undo.pk)), is_new=True)

    return run_resumable(request, work)


def _find(request: HttpRequest, address: str) -> models.Batch:
    return find(caller(request).scope.batches().with_counts().with_undo(), "batch", address)


def _matching(request: HttpRequest, address: str) -> models.Batch:
    batch: models.Batch = _find(request, address)
    check_etag(request, etag_of(FleetBatchOut.of(batch)))
    return batch
