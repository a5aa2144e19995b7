"""Restores: a plan, its preview, its approval, its application, its undo."""

from typing import Any, Union

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import history, models, restore
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.responses import answer, check_etag, etag_of, if_match, if_match_of_present, listed, tagged, written
from statestore.api.routers.agents import found_agent
from statestore.api.routers.history import compared
from statestore.api.schemas.agents import NO_REASON, ReasonIn
from statestore.api.schemas.common import Listed
from statestore.api.schemas.restores import PlanOut, PreviewOut, RestoredOut, RestoreIn, RestoresIn
from statestore.db import pagination
from statestore.db.ids import to_address
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.history import moments
from statestore.jsondiff import diff
from statestore.restore.apply import undo_now

calls = Calls("restores")
Either = Union[RestoredOut, PlanOut]  # noqa: UP007


@calls.call("GET", "/restores", {200: Listed[Either]}, may="view_restore", fails=(404,))
def list_restores(request: HttpRequest, asked: Query[RestoresIn]) -> HttpResponse:
    """List the restores that were applied, or the plans that wait, newest first."""
    scope = caller(request).scope
    if asked.state == "planned":
        rows, order, shape = scope.plans().waiting(models.now()), ("-created_at", "-id"), serializers.kept_plan
    else:
        rows, order, shape = scope.restores().with_standing().with_undo(), ("-at", "-id"), serializers.restored  # type: ignore[assignment]
    if asked.agent:
        rows = rows.filter(agent_id=found_agent(request, asked.agent).agent_id)
    return answer(listed(pagination.page(rows, order, cursor=asked.cursor, size=asked.limit), shape))


@calls.call(
    "POST",
    "/restores",
    {200: PreviewOut, 201: PlanOut},
    scope="restore",
    may="restore_agent",
    tagged=True,
    conditional=True,
)
def create_restore(request: HttpRequest, body: RestoreIn) -> HttpResponse:
    """Make a plan to put an agent back, or with `dry_run` only tell what it would do.

    `If-Match` takes the agent's ETag as you saw it. The plan is applied by POST /restores/{id}/apply within a day.
    """
    agent = found_agent(request, to_address(body.agent_id))
    planned = _planned(agent, body)
    check_etag(request, planned.expected_etag)

    def tell(seed: str | None) -> HttpResponse:
        return answer(_preview(planned), headers={"ETag": f'"{planned.expected_etag}"'})

    def write() -> HttpResponse:
        kept = restore.save(planned, by=caller(request).actor, reason=body.reason)
        return written(serializers.kept_plan(kept), status=201)

    # A preview takes its time, and writes nothing: it does not keep others from writing.
    return run_resumable(request, tell) if body.dry_run else run_in_transaction(request, write)


def _planned(agent: models.AgentState, body: RestoreIn) -> restore.RestorePlan:
    sides: Any = body.sides
    if body.revert is not None:
        return restore.plan_revert(agent.agent_id, body.revert, sides=sides)
    edits = [(edit.path, edit.value) for edit in body.edits]
    moment = moments.parse(body.moment or "now")
    if body.seen_hash is None:
        return restore.plan(agent.agent_id, moment, paths=body.paths, edits=edits)
    base = history.recorded_state(agent.agent_id, body.seen_hash)
    if base is None:
        raise ValidationError("No recorded state has this seen_hash, so that nothing can be merged with it.")
    planned = restore.plan(agent.agent_id, moment, paths=body.paths, edits=edits, seen=base)
    return restore.plan_merge(planned, base, sides=sides)


def _preview(planned: restore.RestorePlan) -> dict[str, Any]:
    agent, target = planned.agent, planned.target
    now = history.KnownState(moments.Now(), agent.agent_id, agent.state_data, agent.updated_at, "now")
    then = history.KnownState(target.moment, agent.agent_id, planned.text, target.at, planned.label)
    found = compared(now, then)
    after = restore.side_effects_of(agent.agent_id, target.at)
    return {
        "agent_id": serializers.text(agent.agent_id),
        "kind": planned.kind,
        "label": serializers.text(planned.label),
        "target": found["after"],
        "etag": planned.expected_etag,
        "hash_before": agent.state_hash(),
        "hash_after": models.sha256(planned.text),
        "changes_nothing": planned.changes_nothing,
        "warnings": [{"kind": one.kind, "text": serializers.text(one.text)} for one in planned.warnings],
        "clashes": [_clash(clash) for clash in planned.clashes],
        "changes": found["changes"],
        "truncated": found["truncated"],
        "aftermath": {
            "events": after.events,
            "tool_calls": after.tool_calls,
            "commits": [serializers.text(commit) for commit in after.commits],
            "tasks": [serializers.text(task.pk) for task in after.tasks],
            "at_least": after.at_least,
        },
        **serializers.state(planned.text),
    }


def _clash(clash: restore.MergeConflict) -> dict[str, Any]:
    sides = {"base": clash.base, "ours": clash.ours, "theirs": clash.theirs}
    there = {name: serializers.value(value) for name, value in sides.items() if value is not diff.MISSING}
    return {"path": serializers.text(clash.path), **there}


def _found(request: HttpRequest, address: str) -> models.Restore | models.SavedPlan:
    scope, wanted = caller(request).scope, id_of(address, "restore")
    done: models.Restore | None = scope.restores().with_standing().with_undo().named(wanted)
    row: models.SavedPlan | None = None if done is not None else scope.plans().named(wanted)
    if done is None and row is None:
        raise NotFound(f"There is no restore and no plan “{address[:80]}” here.")
    return done or row  # type: ignore[return-value]


def answered(request: HttpRequest, done: models.Restore, *, status: int = 201) -> HttpResponse:
    """Answer with a restore that was just applied, as GET does."""
    row = caller(request).scope.restores().with_standing().with_undo().get(pk=done.pk)
    return written(serializers.restored(row), status=status)


def _plan(request: HttpRequest, address: str) -> models.SavedPlan:
    """Return a plan that is still one. Raises Conflict for one that was applied."""
    found = _found(request, address)
    if isinstance(found, models.Restore):
        raise Conflict("This plan has already been applied. Nothing was changed.")
    return found


@calls.call("GET", "/restores/{restore_id}", {200: Either}, may="view_restore", tagged=True)
def get_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Read a restore and whether it still stands, or the plan that it is as yet."""
    found = _found(request, restore_id)
    return tagged(
        request, serializers.restored(found) if isinstance(found, models.Restore) else serializers.kept_plan(found)
    )


@calls.call(
    "POST",
    "/restores/{restore_id}/apply",
    {200: RestoredOut},
    scope="restore",
    may="restore_agent",
    tagged=True,
    conditional=True,
)
def apply_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Apply a plan, while the agent is what it was made against; `If-Match` takes the ETag of either."""

    def write() -> HttpResponse:
        found = _plan(request, restore_id)
        if if_match(request) != etag_of(serializers.kept_plan(found)):
            check_etag(request, found.expected_etag)
        done = restore.apply_saved(found, by=caller(request).actor)
        return answered(request, done, status=200)

    return run_in_transaction(request, write)


@calls.call(
    "POST", "/restores/{restore_id}/approve", {200: PlanOut}, scope="restore", may="restore_agent", tagged=True,
    conditional=True,
)  # fmt: skip
def approve_restore(request: HttpRequest, restore_id: str) -> HttpResponse:
    """Approve somebody else's plan."""

    def write() -> HttpResponse:
        found = _plan(request, restore_id)
        check_etag(request, etag_of(serializers.kept_plan(found)))
        return written(serializers.kept_plan(restore.approve(found, by=caller(request).actor)))

    return run_in_transaction(request, write)


@calls.call(
    "POST",
    "/restores/{restore_id}/undo",
    {201: RestoredOut},
    scope="restore",
    may="restore_agent",
    tagged=True,
    conditional=True,
)
def undo_restore(request: HttpRequest, restore_id: str, body: ReasonIn = NO_REASON) -> HttpResponse:
    """Put back what a restore overwrote.

    Where the agent has changed since, that is a conflict; send the ETag of what you saw as `If-Match` to undo it still.
    """

    def write() -> HttpResponse:
        found = _found(request, restore_id)
        if not isinstance(found, models.Restore):
            raise NotFound("This plan was not applied: there is nothing to undo.")
        done = undo_now(found, by=caller(request).actor, if_match=if_match_of_present(request), reason=body.reason)
        return answered(request, done)

    return run_in_transaction(request, write)
