"""Events: list, search, save singly or up to ten thousand at a time."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models, search
from statestore.access.scope import Scope
from statestore.api import limits
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction, run_resumable
from statestore.api.mirrored import listed_with_sources
from statestore.api.parsers import decoded, read, stored
from statestore.api.problems import Problem
from statestore.api.resources import Resource
from statestore.api.responses import answer
from statestore.api.schemas.common import Listed, PageIn
from statestore.api.schemas.events import (
    BatchIn,
    BatchOut,
    BatchQueryIn,
    EventIn,
    EventOut,
    EventsIn,
    ListedEventOut,
    SearchIn,
)
from statestore.errors import ValidationError
from statestore.events import ingest
from statestore.jsondiff import parsing, pointer

calls = Calls("events")
EVENT = Resource("event", Scope.events, EventOut.of)
NDJSON: Final = "application/x-ndjson"


@calls.call("GET", "/events", {200: Listed[ListedEventOut]}, may="view_event")
def list_events(request: HttpRequest, params: Query[EventsIn]) -> HttpResponse:
    """List events, newest first."""
    values = {
        "type": params.type, "session": params.session, "actor": params.actor, "actor-type": params.actor_type or "",
        "commit": params.commit,
    }  # fmt: skip
    terms = tuple(search.Term(name, value) for name, value in values.items() if value)
    return _page(request, search.Query(terms).between(params.since, params.until), params)


@calls.call("GET", "/events/search", {200: Listed[ListedEventOut]}, may="view_event")
def search_events(request: HttpRequest, params: Query[SearchIn]) -> HttpResponse:
    """Search events, newest first, with the query language of the search page."""
    return _page(request, search.parse(params.q), params)


def _page(request: HttpRequest, query: search.Query, params: PageIn) -> HttpResponse:
    scope = caller(request).scope
    results = search.find(
        query, cursor=params.cursor, limit=params.limit, whole=True, among=scope.searched_events(), using=scope.using
    )
    return listed_with_sources(
        request, results, ListedEventOut.of, results.older, agent="actor_id", session="session_id"
    )


@calls.call("POST", "/events", {201: EventOut}, scope="write", may="ingest", tagged=True)
def save_event(request: HttpRequest, body: EventIn) -> HttpResponse:
    """Save an event. An existing event with the same id is replaced.

    An event of the actor type `User` must be by the caller: `actor_id` is the caller's user name. For callers that are
    limited to namespaces the actor must be one of their agents, and the session theirs or new.
    """
    who = caller(request)
    scope = who.scope

    def write() -> HttpResponse:
        event = {**body.model_dump(), "metadata": stored(body.metadata)}
        try:
            outcome = ingest.ingest(scope.using, [event], scope=scope, author=who.user.get_username(), whole=True)
        except ingest.BadEvent as error:
            raise ValidationError(f"The event {error.reason} Nothing was saved.", field=error.field) from None
        return EVENT.written(models.Event.objects.using(scope.using).get(pk=outcome.ids[0]), is_new=True)

    return run_in_transaction(request, write)


@calls.call("POST", "/events/batch", {200: BatchOut}, scope="write", may="ingest", extra={"x-body": "BatchIn"})
def save_events(request: HttpRequest, params: Query[BatchQueryIn]) -> HttpResponse:
    """Save up to 10,000 events, as JSON or as NDJSON with one event per line.

    Valid events are saved, replacing existing ones with the same id; `refused` lists the others with reasons. With
    `all_or_nothing` all are saved in one transaction, or none. With an Idempotency-Key events without an id get the
    same id on every retry, so none is saved twice. Actors and sessions are checked as by `POST /events`.
    """
    who = caller(request)
    scope, author = who.scope, who.user.get_username()
    events, whole = _events(request)
    whole = whole or params.all_or_nothing

    def write(seed: str | None = None) -> HttpResponse:
        try:
            outcome = ingest.ingest(scope.using, events, scope=scope, author=author, whole=whole, seed=seed)
        except ingest.BadEvent as error:
            place = {"where": "body", "pointer": f"/events/{error.position_in_batch}", "detail": str(error)}
            raise Problem("invalid", str(error), places=[place]) from None
        return answer(BatchOut.of(outcome))

    return run_in_transaction(request, write) if whole else run_resumable(request, write)


@calls.call("GET", "/events/{event_id}", {200: EventOut}, may="view_event", tagged=True)
def get_event(request: HttpRequest, event_id: str) -> HttpResponse:
    """Read an event."""
    return EVENT.read(request, event_id)


def _events(request: HttpRequest) -> tuple[list[object], bool]:
    if request.content_type == NDJSON:
        lines = decoded(request.body).split("\n")
        return [_line(line) for line in lines if line.strip()], False
    if request.content_type != "application/json":
        raise Problem("media-type", f"This call takes application/json or {NDJSON}.")
    value, _ = read(decoded(request.body))
    if isinstance(value, list):
        value = {"events": value}
    batch = _valid_batch(value)
    return [_readable(event) for event in batch.events], batch.all_or_nothing


def _valid_batch(value: object) -> BatchIn:
    from pydantic import ValidationError as SchemaError

    try:
        return BatchIn.model_validate(value)
    except SchemaError as error:
        first = error.errors()[0]
        place = {"where": "body", "pointer": pointer.join(first["loc"]), "detail": first["msg"]}
        raise Problem("invalid", f"{place['pointer'] or 'The body'}: {first['msg']}.", places=[place]) from None


def _line(line: str) -> object:
    """Return the event in a line, or the error, which is reported with the errors of the other events."""
    try:
        return _readable(parsing.parse(line, max_bytes=limits.MAX_BODY_BYTES))
    except parsing.NotJson as error:
        return ValidationError(f"is not valid JSON. {error.reason}")


def _readable(event: object) -> object:
    if isinstance(event, dict) and not isinstance(event.get("metadata"), str | None):
        return {**event, "metadata": stored(event["metadata"])}
    return event
