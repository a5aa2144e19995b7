"""Retention policies: made, simulated, switched, deleted; and holds against them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from ninja import Query
from pydantic import BaseModel, Field

from statestore import models, retention
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.resources import find, find_past, id_of, not_found
from statestore.api.responses import answer, if_match, listed, no_content, page_of, resource, written
from statestore.api.schemas.common import Listed, PageIn
from statestore.api.schemas.retention import (
    HoldIn,
    HoldOut,
    LossOut,
    Noun,
    PolicyIn,
    PolicyOut,
    PolicyPatchIn,
    SimulationOut,
)
from statestore.db.ids import to_address
from statestore.errors import ValidationError
from statestore.operations import upkeep
from statestore.retention import Limits

calls = Calls("upkeep")


class SimulationIn(BaseModel):
    """How long a simulation may take."""

    seconds: Annotated[int, Field(ge=1, le=20, description="What was not looked at until then is left out.")] = 5


def _unrestricted(request: HttpRequest) -> Caller:
    who = caller(request)
    who.require_unrestricted("Retention")
    return who


@contextmanager
def _fields_of_the_call() -> Iterator[None]:
    """Name the field of the call, where an error names that of the page, which asks for days."""
    try:
        yield
    except ValidationError as error:
        raise ValidationError(str(error), field="keep_seconds" if error.field == "keep_days" else error.field) from None


@calls.call("GET", "/policies", {200: Listed[PolicyOut]}, may="view_agentstate")
def list_policies(request: HttpRequest) -> HttpResponse:
    """List the retention policies by table and namespace, up to 200, all in one response."""
    return listed(upkeep.list_policies(_unrestricted(request).scope.using), _policy)


@calls.call("POST", "/policies", {201: PolicyOut}, scope="admin", may="manage_retention", tagged=True)
def create_policy(request: HttpRequest, body: PolicyIn) -> HttpResponse:
    """Make a policy that is off. One that exists for the same table and namespace is a conflict."""
    who = _unrestricted(request)
    keeps = Limits(body.keep_seconds, body.keep_count, body.keep_bytes, body.is_tiered)

    def write() -> HttpResponse:
        with _fields_of_the_call():
            policy = retention.create(who.scope.using, body.table, body.namespace, keeps, by=who.actor)
        return _written(policy, is_new=True)

    return run_in_transaction(request, write)


@calls.call("GET", "/policies/{policy_id}", {200: PolicyOut}, may="view_agentstate", tagged=True)
def get_policy(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Read a policy."""
    policy = _find(request, policy_id)
    return resource(request, models.row_hash(policy), lambda: _policy(policy))


@calls.call(
    "PATCH", "/policies/{policy_id}", {200: PolicyOut}, scope="admin", may="manage_retention", proof=True, tagged=True
)
def change_policy(request: HttpRequest, policy_id: str, body: PolicyPatchIn) -> HttpResponse:
    """Switch a policy on or off, or change its limits, which switches it off.

    Look at its simulation before you switch it on: housekeeping carries it out within an hour.
    """
    who, found = _unrestricted(request), _find(request, policy_id)
    limits = {name: getattr(body, name) for name in body.model_fields_set & Limits().columns().keys()}
    if limits and body.is_on:
        raise ValidationError(
            "Changed limits switch a policy off. Change them, look at the simulation, then switch it on.",
            field="is_on",
        )
    if limits:
        with _fields_of_the_call():
            policy = retention.change(who.scope.using, found.pk, limits, by=who.actor, if_match=if_match(request))
        return _written(policy)
    if body.is_on is None:
        raise ValidationError("Say is_on, or the limits that change.", field="is_on")
    policy = retention.switch(
        who.scope.using, found.pk, on=body.is_on, by=who.actor, would_delete=body.would_delete,
        if_match=if_match(request),
    )  # fmt: skip
    return _written(policy)


@calls.call("DELETE", "/policies/{policy_id}", {204: None}, scope="admin", may="manage_retention")
def delete_policy(request: HttpRequest, policy_id: str) -> HttpResponse:
    """Delete a policy. What it deleted stays deleted."""
    who = _unrestricted(request)
    retention.delete(who.scope.using, _find(request, policy_id).pk, by=who.actor, if_match=if_match(request))
    return no_content()


@calls.call("GET", "/policies/{policy_id}/simulation", {200: SimulationOut}, may="view_agentstate")
def simulate_policy(request: HttpRequest, policy_id: str, params: Query[SimulationIn]) -> HttpResponse:
    """Read what a policy would delete now, agent by agent. Nothing is deleted."""
    policy = _find(request, policy_id)
    found = retention.simulate(policy, using=caller(request).scope.using, seconds=params.seconds)
    largest = [LossOut.of(loss) for loss in found.largest if loss.agent_id]
    return answer(SimulationOut.of(found, largest=largest))


def _find(request: HttpRequest, address: str) -> models.RetentionPolicy:
    using, policy_id = _unrestricted(request).scope.using, id_of(address, "policy")
    if not isinstance(policy_id, str):
        raise not_found("policy", address)
    return retention.find(using, policy_id)


def _policy(policy: models.RetentionPolicy) -> PolicyOut:
    try:
        page = policy.get_absolute_url()
    except NoReverseMatch:
        page = None
    return PolicyOut.of(policy, page=page)


def _written(policy: models.RetentionPolicy, *, is_new: bool = False) -> HttpResponse:
    return written(_policy(policy), etag=models.row_hash(policy), is_new=is_new)


@calls.call("GET", "/holds", {200: Listed[HoldOut]}, may="view_agentstate")
def list_holds(request: HttpRequest, params: Query[PageIn]) -> HttpResponse:
    """List what is held, newest first."""
    rows = models.Hold.objects.using(_unrestricted(request).scope.using)
    return page_of(rows, ("-at", "-id"), params, HoldOut.of)


@calls.call("POST", "/holds", {200: HoldOut}, scope="write", may="snapshot_agent")
def hold(request: HttpRequest, body: HoldIn) -> HttpResponse:
    """Hold an agent with all its records, a snapshot or a restore: nothing deletes it. A hold that exists stays."""
    who = caller(request)

    def write() -> HttpResponse:
        row_id = _existing_id(request, body.noun, to_address(body.id))
        held = retention.hold(who.scope.using, body.noun, row_id, reason=body.reason, by=who.actor)
        return answer(HoldOut.of(held))

    return run_in_transaction(request, write)


@calls.call("DELETE", "/holds/{noun}/{row_id}", {204: None}, scope="admin", may="manage_retention", conditional=False)
def release(request: HttpRequest, noun: Noun, row_id: str) -> HttpResponse:
    """Take a hold off. Without one nothing happens."""
    who, found = caller(request), id_of(row_id, noun)
    # Its orchestrator may have deleted what is held.
    is_known = isinstance(found, str) and who.scope.is_unrestricted
    held = str(found) if is_known else _existing_id(request, noun, row_id)
    retention.release(who.scope.using, noun, held, by=who.actor)
    return no_content()


def _existing_id(request: HttpRequest, noun: str, address: str) -> str:
    """Return the id of a row that the caller sees. Raises NotFound."""
    if noun == "agent":
        return str(find_past(request, address).agent_id)
    scope = caller(request).scope
    if noun == "snapshot":
        return str(find(scope.snapshots(), noun, address).pk)
    return str(find(scope.restores(), noun, address).pk)
