"""Errors as problem details (RFC 9457): one type for each kind, the place, and what to do."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError as DjangoDatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as SchemaError

from statestore import dialect, errors
from statestore.jsontext import pointer

CONTENT_TYPE: Final = "application/problem+json"
TYPES: Final = "/api/v1/problems/"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its name in the type's address, its status, what it means, what to do."""

    name: str
    status: int
    title: str
    remedy: str


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("malformed", 400, "The request cannot be read", "Send UTF-8 JSON; the places say where it breaks off."),
        Kind("unauthenticated", 401, "Nobody is signed in", "Send Authorization: Bearer TOKEN, or sign in."),
        Kind("forbidden", 403, "This is not allowed", "Use a token with the scope, of a user with the role."),
        Kind("not-found", 404, "Not found", "Check the id; ids in paths are written as the list's `address`."),
        Kind("method", 405, "There is no such call", "The Allow header names the methods."),
        Kind("conflict", 409, "It conflicts with what is there", "Read it again and decide anew."),
        Kind(
            "in-progress", 409, "The same call is at work", "Ask again after Retry-After seconds, under the same key."
        ),
        Kind("needs-approval", 409, "A second person must approve", "Save a plan and let somebody approve it."),
        Kind("length", 411, "The length is missing", "Send Content-Length."),
        Kind("moved", 412, "It has changed since you read it", "Read it again; ETag is what it is now."),
        Kind("too-large", 413, "It is too large", "Bodies have at most 64 MB, states 50 MB."),
        Kind("media-type", 415, "This form is not understood", "Send Content-Type: application/json."),
        Kind("invalid", 422, "A value is not what it must be", "Mend the named places and send it again."),
        Kind("unstorable", 422, "A value cannot be stored", "Mend the named places and send it again."),
        Kind("key-reused", 422, "This Idempotency-Key was used", "Use a new key for another request."),
        Kind("rate", 429, "Too many calls", "Wait for as many seconds as Retry-After says."),
        Kind("internal", 500, "The server failed", "Try again; the server's log says more."),
        Kind("database", 500, "The database refused", "The detail says why; nothing was changed."),
        Kind("busy", 503, "Another program is writing", "Try again after Retry-After seconds."),
        Kind("read-only", 503, "The store is read-only", "Let the server's user write the file and its directory."),
        Kind("unavailable", 503, "The store is not available", "Run `manage.py doctor` on the server."),
    )
}
_OF_ERRORS: Final[dict[type[errors.StateStoreError], str]] = {
    errors.NotFound: "not-found",
    errors.NeedsApproval: "needs-approval",
    errors.Moved: "moved",
    errors.Conflict: "conflict",
    errors.Forbidden: "forbidden",
    errors.SerializationError: "unstorable",
    errors.ValidationError: "invalid",
    errors.ReadOnly: "read-only",
    errors.Busy: "busy",
    errors.Unavailable: "unavailable",
    errors.MigrationError: "unavailable",
}
RETRY_SECONDS: Final = "5"


class Problem(Exception):
    """A problem that the API itself finds, as opposed to the domain."""

    def __init__(
        self, kind: str, detail: str, *, places: Sequence[Mapping[str, Any]] = (), headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.places, self.headers = KINDS[kind], detail, places, headers


def problem(
    kind: str | Kind, detail: str, *, places: Sequence[Mapping[str, Any]] = (), headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the response for a problem."""
    kind = KINDS[kind] if isinstance(kind, str) else kind
    body: dict[str, Any] = {
        "type": f"{TYPES}{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail.encode("utf-8", "replace").decode(),
        "remedy": kind.remedy,
    }
    if places:
        body["errors"] = list(places)
    response = HttpResponse(json.dumps(body).encode(), status=kind.status, content_type=CONTENT_TYPE)
    for name, value in (headers or {}).items():
        response[name] = value
    # What a caller did wrong is told to them; the log is for what the server did wrong.
    response._has_been_logged = True  # type: ignore[attr-defined]
    if kind.status == 503:
        response["Retry-After"] = RETRY_SECONDS
    if kind.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Descartes StateStore"'
    return response


def answer_error(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the problem for any error that a call raised."""
    if isinstance(error, HttpError) and isinstance(error.__cause__, Exception):
        # The framework wraps whatever reading a body raised.
        return answer_error(request, error.__cause__)
    if isinstance(error, Problem):
        return problem(error.kind, error.detail, places=error.places, headers=error.headers)
    if isinstance(error, DjangoDatabaseError):
        error = dialect.translate(error)
    if isinstance(error, errors.StateStoreError):
        return _of_domain(request, error)
    if isinstance(error, SchemaError):
        return _of_schema(error)
    if isinstance(error, AuthenticationError):
        return problem("unauthenticated", "This call needs a token or a login.")
    if isinstance(error, Http404):
        return problem("not-found", "There is no such address.")
    if isinstance(error, RequestDataTooBig):
        return problem("too-large", "The body is over 64 MB. Nothing was changed; send it in parts.")
    if isinstance(error, RawPostDataException):
        return problem("media-type", "The body is a form. Send JSON with Content-Type: application/json.")
    if isinstance(error, HttpError):
        return problem({400: "malformed", 403: "forbidden"}.get(error.status_code, "invalid"), error.message)
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem("internal", "The server failed on this call. Its log says why.")


def _of_domain(request: HttpRequest, error: errors.StateStoreError) -> HttpResponse:
    name = next((name for kind, name in _OF_ERRORS.items() if isinstance(error, kind)), "database")
    asked = "If-Match" in request.headers or "If-None-Match" in request.headers
    if name == "moved" and not asked:
        # Nobody asked for a condition: the domain itself found that the row had moved.
        name = "conflict"
    etag = getattr(error, "etag", "")
    if KINDS[name].status >= 500:
        log.warning("%s %s: %s", request.method, request.path, error)
    headers = {"ETag": f'"{etag}"'} if etag else None
    return problem(name, str(error), places=_places(request, error), headers=headers)


def _places(request: HttpRequest, error: errors.StateStoreError) -> list[dict[str, Any]]:
    """Return where the one thing is that an error is about: in the query if it stands there, else in the body."""
    field = getattr(error, "field", "")
    if not field:
        return []
    if field not in request.GET:
        return [{"where": "body", "pointer": pointer([field]), "detail": str(error)}]
    position = getattr(error, "position", None)
    place = {"where": "query", "name": field, "detail": str(error)}
    return [place if position is None else {**place, "column": position + 1}]


def _of_schema(error: SchemaError) -> HttpResponse:
    places = [_place(one) for one in error.errors[:20]]
    first = places[0]
    where = first.get("name") or first.get("pointer") or first["where"]
    return problem("invalid", f"{where}: {first['detail']} Nothing was changed.", places=places)


def _place(found: Mapping[str, Any]) -> dict[str, Any]:
    source, *rest = found["loc"]
    detail = {
        "extra_forbidden": "There is no such field.",
        "missing": "It is missing.",
    }.get(found["type"], f"{found['msg'].removeprefix('Value error, ')}.".replace("..", "."))
    if source == "body":
        # The first part is the framework's own name for the whole body.
        return {"where": "body", "pointer": pointer(rest[1:]), "detail": detail}
    return {"where": str(source), "name": str(rest[-1]) if rest else "", "detail": detail}
