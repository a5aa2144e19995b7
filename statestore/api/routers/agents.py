"""Agents: read, saved, changed, thrown away and brought back."""

from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import BaseModel

from statestore import models, restore
from statestore.agents import service as agent_service
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.parsers import state_text, stored
from statestore.api.problems import Problem
from statestore.api.responses import answer, check_row, if_match, listed, must_be_new, nothing, resource
from statestore.api.schemas.agents import (
    AgentColumnsIn,
    AgentIn,
    AgentOut,
    AgentPatchIn,
    AgentRowOut,
    AgentsIn,
    ForkIn,
    SavedOut,
    TrashIn,
)
from statestore.api.schemas.common import InTrashIn, Listed
from statestore.db import pagination, transactions
from statestore.db.ids import to_address
from statestore.errors import NotFound
from statestore.forms import AgentFilterForm
from statestore.models.querysets import BY_CHANGE

calls = Calls("agents")
Form = TypeVar("Form", bound=AgentFilterForm)


def found_agent(request: HttpRequest, address: str, *, trash: bool = True) -> models.AgentState:
    """Return an agent that the caller can see, by its id as it stands in paths; without `trash` only a live one.

    Raises NotFound.
    """
    agent: models.AgentState | None = caller(request).scope.agents().named(id_of(address, "agent"), "agent_id")
    if agent is None:
        raise NotFound(f"There is no agent “{address[:80]}” here. Its orchestrator may have deleted it.")
    if agent.is_deleted and not trash:
        raise NotFound(
            f"The agent “{address[:80]}” is in the trash. Read it with ?trash=true, or bring it back with"
            f" POST {serializers.BASE}/agents/{to_address(agent.agent_id)}/undelete."
        )
    return agent


def checked(kind: type[Form], asked: BaseModel) -> Form:
    """Return the form that a page checks the same filters with, filled in. Raises a problem for what it refuses."""
    form = kind({name: value for name, value in asked.model_dump().items() if value is not None})
    if not form.is_valid():
        name, errors = next(iter(form.errors.items()))
        raise Problem("invalid", f"{name}: {errors[0]}", places=[{"where": "query", "name": name, "detail": errors[0]}])
    return form


@calls.call("GET", "/agents", {200: Listed[AgentRowOut]}, may="view_agentstate")
def list_agents(request: HttpRequest, asked: Query[AgentsIn]) -> HttpResponse:
    """List agents, without their states."""
    form = checked(AgentFilterForm, asked)
    order = form.order()
    if asked.trash:
        rows, order = form.in_trash(), BY_CHANGE
    else:
        rows = form.chosen()
    rows = caller(request).scope.agents(rows).without_state().with_size()
    return answer(listed(pagination.page(rows, order, cursor=asked.cursor, size=asked.limit), serializers.agent_row))


@calls.call("GET", "/agents/{agent_id}", {200: AgentOut}, may="view_agentstate", tagged=True)
def get_agent(request: HttpRequest, agent_id: str, asked: Query[InTrashIn]) -> HttpResponse:
    """Read an agent with its state."""
    agent = found_agent(request, agent_id, trash=asked.trash)
    tombstone = models.Tombstone.objects.filter(agent_id=agent.agent_id).first()
    return resource(request, agent.etag(), lambda: serializers.agent(agent, tombstone))


@calls.call("PUT", "/agents/{agent_id}", {200: SavedOut, 201: SavedOut}, scope="write", may="ingest", tagged=True)
def put_agent(request: HttpRequest, agent_id: str, body: AgentIn) -> HttpResponse:
    """Save an agent as an orchestrator does, and record the transition.

    One call for each state save. The agent is made where there is none; `If-None-Match: *` makes and never overwrites,
    `If-Match` overwrites only what you saw.
    """
    address = id_of(agent_id, "agent")
    if not isinstance(address, str):
        address = found_agent(request, agent_id).agent_id
    who = caller(request)
    asked: dict[str, Any] = {
        "columns": _columns(request, body), "reason": body.reason or None, "record": True,
        "if_match": if_match(request), "only_new": must_be_new(request),
    }  # fmt: skip
    if who.scope.is_unrestricted and body.namespace is None:
        return _saved(agent_service.save_agent(who.scope.using, str(address), **asked))
    with transactions.writing(who.scope.using):
        prefix = _namespace(request, str(address), body)
        return _saved(agent_service.save_agent(who.scope.using, str(address), prefix=prefix, **asked))


def _namespace(request: HttpRequest, agent_id: str, body: AgentIn) -> str | None:
    """Return the namespace to save in; an agent of a namespace that the caller cannot see is not there for them."""
    scope = caller(request).scope
    if not scope.is_unrestricted and body.namespace is None:
        there = scope.agents().filter(agent_id=agent_id).first()
        if there is not None:
            return there.namespace or None
        scope.require_new_agent(agent_id)
    return scope.namespace_for(body.namespace)


def _columns(request: HttpRequest, body: AgentColumnsIn) -> dict[str, Any]:
    given = {
        "name": body.name,
        "status": body.status,
        "version": body.version,
        "metadata": stored(body.metadata),
        "state_data": state_text(request, body) if body.has_state else None,
    }
    return {column: value for column, value in given.items() if value is not None}


def _saved(saved: agent_service.Saved, *, status: int | None = None) -> HttpResponse:
    row = serializers.agent_row(saved.agent)
    etag = saved.agent.etag()
    payload = {
        **row,
        "etag": etag,
        "transition_id": None if saved.transition is None else saved.transition.pk,
    }
    headers = {"ETag": f'"{etag}"'} | ({"Location": row["url"]} if saved.is_new else {})
    return answer(payload, status=status or (201 if saved.is_new else 200), headers=headers)


@calls.call("PATCH", "/agents/{agent_id}", {200: SavedOut}, scope="write", may="ingest", tagged=True)
def patch_agent(request: HttpRequest, agent_id: str, body: AgentPatchIn) -> HttpResponse:
    """Change an agent's status, name, metadata or state; what is not given stays.

    A change of status is recorded as a transition of its own and in the audit log, as on the page.
    """
    who, columns = caller(request), _columns(request, body)
    status = columns.pop("status", None)
    if status is not None:
        who.require_permission("change_agent_status")
    with transactions.writing(who.scope.using):
        agent = found_agent(request, agent_id)
        check_row(request, agent)
        transition = None
        if status is not None:
            transition = who.store().update_agent_status(agent.agent_id, status, reason=body.reason or "")
        if not columns:
            return _saved(agent_service.Saved(found_agent(request, agent_id), False, transition))
        saved = agent_service.change_agent(
            who.scope.using, agent.agent_id, columns, by=who.actor, reason=body.reason or ""
        )
    return _saved(saved)


@calls.call("DELETE", "/agents/{agent_id}", {204: None}, scope="write", may="trash_agent")
def delete_agent(request: HttpRequest, agent_id: str, asked: Query[TrashIn]) -> HttpResponse:
    """Move an agent to the trash; its state and its past stay.

    From then on it is read with `?trash=true` only, and `undelete` brings it back under the same id.
    """
    agent = found_agent(request, agent_id)
    caller(request).store().delete_agent(agent.agent_id, reason=asked.reason, if_match=if_match(request))
    return nothing()


@calls.call(
    "POST",
    "/agents/{agent_id}/undelete",
    {200: SavedOut},
    scope="write",
    may="trash_agent",
    tagged=True,
    conditional=True,
)
def undelete_agent(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Bring an agent back from the trash."""

    def write() -> HttpResponse:
        agent = found_agent(request, agent_id)
        back = caller(request).store().undelete_agent(agent.agent_id, if_match=if_match(request))
        return _saved(agent_service.Saved(back, False, None))

    return run_in_transaction(request, write)


@calls.call("POST", "/agents/{agent_id}/purge", {204: None}, scope="admin", may="purge_agent", conditional=True)
def purge_agent(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Delete an agent in the trash for good, with its transitions and snapshots."""

    def work(seed: str | None) -> HttpResponse:
        agent = found_agent(request, agent_id)
        caller(request).store().purge_agent(agent.agent_id, if_match=if_match(request))
        return nothing()

    return run_resumable(request, work)


@calls.call(
    "POST", "/agents/{agent_id}/fork", {201: SavedOut}, scope="restore", may="restore_agent", tagged=True,
    conditional=True,
)  # fmt: skip
def fork_agent(request: HttpRequest, agent_id: str, body: ForkIn) -> HttpResponse:
    """Make a new agent that begins with the state of a moment of this one. `If-Match` takes this one's ETag."""
    who = caller(request)

    def write() -> HttpResponse:
        with transactions.writing(who.scope.using):
            agent = found_agent(request, agent_id)
            check_row(request, agent)
            who.scope.require_new_agent(body.agent_id)
            child = restore.fork(
                agent.agent_id, body.moment, body.agent_id, by=who.actor, name=body.name, reason=body.reason
            )
        return _saved(agent_service.Saved(child, True, None))

    return run_in_transaction(request, write)
