"""Transitions: list, read, record."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import cases, history, models
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.parsers import state_text, stored
from statestore.api.problems import Problem
from statestore.api.resources import find_agent, find_past, id_of, not_found
from statestore.api.responses import page_of, resource, written
from statestore.api.schemas.common import AgentPageIn, Listed
from statestore.api.schemas.transitions import TransitionIn, TransitionOut, TransitionRowOut
from statestore.models.querysets import BY_TIME

calls = Calls("transitions")
NDJSON: Final = cases.FORMATS["ndjson"]


@calls.call("GET", "/agents/{agent_id}/transitions", {200: Listed[TransitionRowOut]}, may="view_transition")
def list_transitions(request: HttpRequest, agent_id: str, params: Query[AgentPageIn]) -> HttpResponse:
    """List an agent's transitions without their states, newest first."""
    agent = find_past(request, agent_id, trash=params.trash)
    rows = models.Transition.objects.of_agent(agent.agent_id).without_states().with_sizes()
    return page_of(rows, BY_TIME, params, TransitionRowOut.of)


@calls.call("POST", "/agents/{agent_id}/transitions", {201: TransitionRowOut}, scope="write", may="ingest", tagged=True)
def record_transition(request: HttpRequest, agent_id: str, body: TransitionIn) -> HttpResponse:
    """Record a change of an agent's state that happened elsewhere. The agent itself is not changed."""
    texts = {name: state_text(request, body, name) for name in ("state_before", "state_after")}
    for name, text in texts.items():
        if text is None:
            place = {"where": "body", "pointer": f"/{name}", "detail": "Required."}
            raise Problem("invalid", f"{name} or {name}_text is required.", places=[place])

    def write() -> HttpResponse:
        agent = find_agent(request, agent_id)
        transition = (
            caller(request)
            .store()
            .record_state_transition(
                agent.agent_id, **texts, reason=body.reason or None, metadata=stored(body.metadata)
            )
        )
        return written(TransitionRowOut.of(transition), etag=models.row_hash(transition), is_new=True)

    return run_in_transaction(request, write)


@calls.call("GET", "/transitions/{transition_id}", {200: TransitionOut}, may="view_transition", tagged=True)
def get_transition(request: HttpRequest, transition_id: str) -> HttpResponse:
    """Read a transition or a captured change, with the states before and after it."""
    row = _find(request, transition_id)
    return resource(request, models.row_hash(row), lambda: TransitionOut.of(row))


@calls.call("GET", "/transitions/{transition_id}/case", {200: str}, may="view_transition", extra={"x-answers": NDJSON})
def get_transition_case(request: HttpRequest, transition_id: str) -> HttpResponse:
    """Export a transition for a ticket as NDJSON, its difference and both states with their secrets masked.

    The line before the last says how much each rule masked; the last has the SHA-256 of all lines before it.
    """
    row = _find(request, transition_id)
    return HttpResponse(cases.transition_case(row, history.find_agent(row.agent_id), "ndjson"), content_type=NDJSON)


def _find(request: HttpRequest, address: str) -> models.Transition:
    scope = caller(request).scope
    row = history.find_transition(id_of(address, "transition"), using=scope.using)
    if row is None or not scope.includes(row.agent_id):
        raise not_found("transition", address)
    return row
