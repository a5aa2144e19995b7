"""Restores: plan, preview, approve, apply, undo."""

from typing import Union

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import history, models, restore
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.resources import find_past, id_of, not_found
from statestore.api.responses import (
    answer,
    check_etag,
    etag_of,
    if_match,
    if_match_of_present,
    page_of,
    tagged,
    written,
)
from statestore.api.routers.history import compared
from statestore.api.schemas.agents import NO_REASON, ReasonIn
from statestore.api.schemas.common import Listed
from statestore.api.schemas.restores import PlanOut, PreviewOut, RestoredOut, RestoreIn, RestoresIn
from statestore.db.ids import to_address
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.history import moments
from statestore.restore.apply import undo_now

calls = Calls("restores")
Either = Union[RestoredOut, PlanOut]  # noqa: UP007


@calls.call("GET", "/restores", {200: Listed[Either]}, may="view_restore", fails=(404,))
def list_restores(request: HttpRequest, params: Query[RestoresIn]) -> HttpResponse:
    """List applied restores, or pending plans, newest first."""
    scope = caller(request).scope
    if params.state == "planned":
        rows, order, serialize = scope.plans().waiting(models.now()), ("-created_at", "-id"), PlanOut.of
    else:
        rows, order, serialize = scope.restores().with_standing().with_undo(), ("-at", "-id"), RestoredOut.of  # type: ignore[assignment]
    if params.agent:
        rows = rows.filter(agent_id=find_past(request, params.agent).agent_id)
    return page_of(rows, order, params, serialize)


@calls.action("/restores", {200: PreviewOut, 201: PlanOut}, scope="restore", may="restore_agent")
def create_restore(request: HttpRequest, body: RestoreIn) -> HttpResponse:
    """Create a plan to restore an agent, or with `dry_run` only preview it.

    `If-Match` takes the agent's ETag. Apply the plan within a day with `POST /restores/{id}/apply`.
    """
    if body.status:
        caller(request).require_permission("change_agent_status")
    agent = find_past(request, to_address(body.agent_id))
    planned = _planned(agent, body)
    check_etag(request, planned.expected_etag)

    def preview(seed: str | None) -> HttpResponse:
        return answer(_preview(planned), headers={"ETag": f'"{planned.expected_etag}"'})

    def write() -> HttpResponse:
        plan = restore.save(planned, by=caller(request).actor, reason=body.reason)
        return written(PlanOut.of(plan), is_new=True)

    # A preview writes nothing and may be slow: compute it outside of the write transaction.
    return run_resumable(request, preview) if body.dry_run else run_in_transaction(request, write)


def _planned(agent: models.AgentState, body: RestoreIn) -> restore.RestorePlan:
    return restore.setting(_planned_state(agent, body), body.status or "")


def _planned_state(agent: models.AgentState, body: RestoreIn) -> restore.RestorePlan:
    sides = body.sides
    if body.revert is not None:
        return restore.plan_revert(agent.agent_id, body.revert, sides=sides)
    edits = [(edit.path, edit.value) for edit in body.edits]
    moment = moments.parse(body.moment or "now")
    if body.seen_hash is None:
        return restore.plan(agent.agent_id, moment, paths=body.paths, edits=edits)
    base = history.recorded_state(agent.agent_id, body.seen_hash)
    if base is None:
        raise ValidationError("No recorded state has this seen_hash, so there is nothing to merge with.")
    planned = restore.plan(agent.agent_id, moment, paths=body.paths, edits=edits, seen=base)
    return restore.plan_merge(planned, base, sides=sides)


def _preview(planned: restore.RestorePlan) -> PreviewOut:
    agent, target = planned.agent, planned.target
    now = history.KnownState(moments.Now(), agent.agent_id, agent.state_data, agent.updated_at, "now")
    then = history.KnownState(target.moment, agent.agent_id, planned.text, target.at, planned.label)
    comparison = compared(now, then)
    return PreviewOut.of(
        planned,
        agent_id=agent.agent_id,
        target=comparison.after,
        hash_before=comparison.before.hash,
        hash_after=comparison.after.hash,
        changes=comparison.changes,
        truncated=comparison.truncated,
        coarse=comparison.coarse,
        aftermath=restore.side_effects_of(agent.agent_id, target.at),
    )


def _find(request: HttpRequest, address: str) -> models.Restore | models.SavedPlan:
    scope, restore_id = caller(request).scope, id_of(address, "restore")
    restores = scope.restores().with_standing().with_undo()
    row: models.Restore | models.SavedPlan | None = restores.named(restore_id) or scope.plans().named(restore_id)
    if row is None:
        raise not_found("restore or plan", address)
    return row


def answered(request: HttpRequest, applied: models.Restore, *, is_new: bool = True) -> HttpResponse:
    """Return the response for a restore that was just applied: the same as GET returns."""
    row = caller(request).scope.restores().with_standing().with_undo().get(pk=applied.pk)
    return written(RestoredOut.of(row), is_new=is_new)


def _plan(request: HttpRequest, address: str) -> models.SavedPlan:
    """Return a plan. Raises Conflict if it was applied."""
    row = _find(request, address)
    if isinstance(row, models.Restore):
        raise Conflict("This plan has already been applied. Nothing was changed.")
    return row


@calls.call("GET", "/restores/{restore_id}", {200: Either}, may="view_restore", tagged=True)
def get_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Read a restore and whether it is still in effect, or a plan that has not been applied."""
    row = _find(request, restore_id)
    return tagged(request, RestoredOut.of(row) if isinstance(row, models.Restore) else PlanOut.of(row))


@calls.action("/restores/{restore_id}/apply", {200: RestoredOut}, scope="restore", may="restore_agent")
def apply_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Apply a plan, if the agent has not changed since. `If-Match` takes the ETag of the plan or of the agent."""

    def write() -> HttpResponse:
        plan = _plan(request, restore_id)
        if if_match(request) != etag_of(PlanOut.of(plan)):
            check_etag(request, plan.expected_etag)
        if plan.status:
            caller(request).require_permission("change_agent_status")
        applied = restore.apply_saved(plan, by=caller(request).actor)
        return answered(request, applied, is_new=False)

    return run_in_transaction(request, write)


@calls.action("/restores/{restore_id}/approve", {200: PlanOut}, scope="approve", may="restore_agent")
def approve_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Approve another user's plan. `If-Match` takes the plan's ETag.

    Approving is a person's: it takes a login, or a token of another user with the scope `approve`, which no token has
    beside `restore`.
    """

    def write() -> HttpResponse:
        plan = _plan(request, restore_id)
        check_etag(request, etag_of(PlanOut.of(plan)))
        return written(PlanOut.of(restore.approve(plan, by=caller(request).actor)))

    return run_in_transaction(request, write)


@calls.action("/restores/{restore_id}/undo", {201: RestoredOut}, scope="restore", may="restore_agent")
def undo_restore(request: HttpRequest, restore_id: str, body: ReasonIn = NO_REASON) -> HttpResponse:
    """Undo a restore: restore the state it overwrote.

    If the agent has changed since, the response is 409. To undo anyway, send the agent's ETag as `If-Match`.
    """

    def write() -> HttpResponse:
        row = _find(request, restore_id)
        if not isinstance(row, models.Restore):
            raise NotFound("This plan has not been applied, so there is nothing to undo.")
        if row.status_after:
            caller(request).require_permission("change_agent_status")
        undo = undo_now(row, by=caller(request).actor, if_match=if_match_of_present(request), reason=body.reason)
        return answered(request, undo)

    return run_in_transaction(request, write)
