"""Agents: read, save, change, trash, restore from trash, fork."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import cases, models, restore
from statestore.access import rights
from statestore.agents import service as agent_service
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.mirrored import listed_with_sources
from statestore.api.parsers import state_text, stored, valid_form
from statestore.api.resources import find_agent, find_past, id_of
from statestore.api.responses import check_row, if_match, must_be_new, no_content, resource, written
from statestore.api.schemas.agents import (
    AgentColumnsIn,
    AgentIn,
    AgentOut,
    AgentPatchIn,
    AgentsIn,
    CaseIn,
    ForkIn,
    ListedAgentOut,
    SavedOut,
    TrashIn,
)
from statestore.api.schemas.common import InTrashIn, Listed
from statestore.db import pagination, transactions
from statestore.errors import Forbidden
from statestore.forms import AgentFilterForm
from statestore.models.querysets import BY_CHANGE
from statestore.sources import forking

calls = Calls("agents")
NDJSON: Final = cases.FORMATS["ndjson"]


@calls.call("GET", "/agents", {200: Listed[ListedAgentOut]}, may="view_agentstate")
def list_agents(request: HttpRequest, params: Query[AgentsIn]) -> HttpResponse:
    """List agents without their states."""
    form = valid_form(AgentFilterForm, params)
    order = form.order()
    if params.trash:
        rows, order = form.in_trash(), BY_CHANGE
    else:
        rows = form.chosen()
    rows = caller(request).scope.agents(rows).without_state().with_size()
    page = pagination.page(rows, order, cursor=params.cursor, size=params.limit)
    return listed_with_sources(request, page, ListedAgentOut.of, page.older, agent="agent_id")


@calls.call("GET", "/agents/{agent_id}", {200: AgentOut}, may="view_agentstate", tagged=True)
def get_agent(request: HttpRequest, agent_id: str, params: Query[InTrashIn]) -> HttpResponse:
    """Read an agent with its state."""
    agent = find_agent(request, agent_id, trash=params.trash)
    tombstone = models.Tombstone.objects.filter(agent_id=agent.agent_id).first()
    return resource(request, agent.etag(), lambda: AgentOut.of(agent, tombstone=tombstone))


@calls.call("GET", "/agents/{agent_id}/case", {200: str}, may="view_agentstate", extra={"x-answers": NDJSON})
def get_agent_case(request: HttpRequest, agent_id: str, params: Query[CaseIn]) -> HttpResponse:
    """Export an agent for a ticket as NDJSON, its secrets masked.

    The line before the last says how much each rule masked; the last has the SHA-256 of all lines before it. Events
    also require the permission `view_event`.
    """
    who = caller(request)
    if params.events:
        who.require_permission("view_event")
    agent = find_past(request, agent_id, trash=params.trash)
    wanted = cases.Wanted(params.state, params.conversation, params.transitions, params.events)
    return HttpResponse(cases.agent_case(agent, wanted, who.scope, "ndjson"), content_type=NDJSON)


@calls.call("PUT", "/agents/{agent_id}", {200: SavedOut, 201: SavedOut}, scope="write", may="ingest", tagged=True)
def put_agent(request: HttpRequest, agent_id: str, body: AgentIn) -> HttpResponse:
    """Create or update an agent, and record the transition.

    One call per saved state. `If-None-Match: *` creates and never overwrites. `If-Match` overwrites only if the agent
    has not changed. The transition's metadata says `by` whom; overwriting a state that the caller did not write is
    recorded in the audit log. While restores need approval the call also requires the permission `save_state`.
    """
    address = id_of(agent_id, "agent")
    if not isinstance(address, str):
        address = find_agent(request, agent_id).agent_id
    who = caller(request)
    _require_save(who)
    save: dict[str, Any] = {
        "columns": _columns(request, body), "reason": body.reason or None, "by": who.actor,
        "if_match": if_match(request), "only_new": must_be_new(request),
    }  # fmt: skip
    if who.scope.is_unrestricted and body.namespace is None:
        return _saved(agent_service.report_state(who.scope.using, str(address), **save))
    with transactions.writing(who.scope.using):
        prefix = _namespace(request, str(address), body)
        return _saved(agent_service.report_state(who.scope.using, str(address), prefix=prefix, **save))


def _require_save(who: Caller) -> None:
    """Raise Forbidden if the caller may not save states: otherwise saving an old one would need no approval."""
    if restore.saving_needs_permission() and not rights.may(who.user, "save_state"):
        raise Forbidden(
            f"Restores need approval here, so saving a state requires the permission save_state, which the user"
            f" {who.user.get_username()} lacks. Nothing was changed. Save a plan of a restore, or have the permission"
            " granted to the user of the token."
        )


def _namespace(request: HttpRequest, agent_id: str, body: AgentIn) -> str | None:
    """Return the namespace to save in. To the caller an agent outside the visible namespaces does not exist."""
    scope = caller(request).scope
    if not scope.is_unrestricted and body.namespace is None:
        present = scope.agents().filter(agent_id=agent_id).first()
        if present is not None:
            return present.namespace or None
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


def _saved(saved: agent_service.Saved) -> HttpResponse:
    payload = SavedOut.of(saved.agent, transition_id=None if saved.transition is None else saved.transition.pk)
    return written(payload, etag=payload.etag, is_new=saved.is_new)


@calls.call("PATCH", "/agents/{agent_id}", {200: SavedOut}, scope="write", may="ingest", tagged=True)
def patch_agent(request: HttpRequest, agent_id: str, body: AgentPatchIn) -> HttpResponse:
    """Change an agent's status, name, metadata or state. Omitted fields keep their values.

    A change of status is recorded as a separate transition and in the audit log. While restores need approval a state
    also requires the permission `save_state`.
    """
    who, columns = caller(request), _columns(request, body)
    status = columns.pop("status", None)
    if status is not None:
        who.require_permission("change_agent_status")
    if body.has_state:
        _require_save(who)
    with transactions.writing(who.scope.using):
        agent = find_agent(request, agent_id)
        check_row(request, agent)
        transition = None
        if status is not None:
            transition = who.store().update_agent_status(agent.agent_id, status, reason=body.reason or "")
        if not columns:
            return _saved(agent_service.Saved(find_agent(request, agent_id), False, transition))
        saved = agent_service.change_agent(
            who.scope.using, agent.agent_id, columns, by=who.actor, reason=body.reason or ""
        )
    return _saved(saved)


@calls.call("DELETE", "/agents/{agent_id}", {204: None}, scope="write", may="trash_agent")
def delete_agent(request: HttpRequest, agent_id: str, params: Query[TrashIn]) -> HttpResponse:
    """Move an agent to the trash. Its state and history are kept.

    It can then be read only with `?trash=true`, and `undelete` restores it under the same id.
    """
    agent = find_agent(request, agent_id)
    caller(request).store().delete_agent(agent.agent_id, reason=params.reason, if_match=if_match(request))
    return no_content()


@calls.action("/agents/{agent_id}/undelete", {200: SavedOut}, scope="write", may="trash_agent")
def undelete_agent(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Restore an agent from the trash."""

    def write() -> HttpResponse:
        agent = find_agent(request, agent_id)
        restored = caller(request).store().undelete_agent(agent.agent_id, if_match=if_match(request))
        return _saved(agent_service.Saved(restored, False, None))

    return run_in_transaction(request, write)


@calls.call(
    "POST", "/agents/{agent_id}/purge", {204: None}, scope="admin", proof=True, may="purge_agent", conditional=True
)
def purge_agent(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Permanently delete an agent in the trash, with its transitions and snapshots."""

    def work(seed: str | None) -> HttpResponse:
        agent = find_agent(request, agent_id)
        caller(request).store().purge_agent(agent.agent_id, if_match=if_match(request))
        return no_content()

    return run_resumable(request, work)


@calls.action("/agents/{agent_id}/fork", {201: SavedOut}, scope="restore", may="restore_agent")
def fork_agent(request: HttpRequest, agent_id: str, body: ForkIn) -> HttpResponse:
    """Create a new agent with the state this agent had at a moment. `If-Match` takes this agent's ETag.

    With `in_source`, an agent that mirrors another framework's thread is forked there: `agent_id` is the id of the new
    thread or session, which the framework goes on with, and the answer is the agent that mirrors it.
    """
    who = caller(request)

    def write() -> HttpResponse:
        with transactions.writing(who.scope.using):
            agent = find_past(request, agent_id)
            check_row(request, agent)
            if body.in_source:
                child = forking.fork(
                    agent, body.moment, body.agent_id, by=who.actor, reason=body.reason, scope=who.scope
                )
            else:
                child = restore.fork(
                    agent.agent_id, body.moment, body.agent_id, by=who.actor, name=body.name, reason=body.reason,
                    scope=who.scope,
                )  # fmt: skip
        return _saved(agent_service.Saved(child, True, None))

    return run_in_transaction(request, write)
