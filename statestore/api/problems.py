"""Errors as problem details (RFC 9457): a type per kind of problem, the place of the error, and the remedy."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.db.utils import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException
from django.urls import reverse
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as SchemaError

from statestore import errors
from statestore.db.errors import translate
from statestore.forms.uploads import FileRefused
from statestore.jsondiff.pointer import join

CONTENT_TYPE: Final = "application/problem+json"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its name in the type URI, HTTP status, title and remedy."""

    name: str
    status: int
    title: str
    remedy: str


_OWN: Final = (
    Kind("malformed", 400, "Malformed request", "Send valid JSON in UTF-8; errors gives the position."),
    Kind("unauthenticated", 401, "Unauthenticated", "Send Authorization: Bearer TOKEN, or sign in."),
    Kind("method", 405, "Method not allowed", "Use one of the methods in the Allow header."),
    Kind("in-progress", 409, "Request in progress", "Retry with the same key after Retry-After seconds."),
    Kind("length", 411, "Length required", "Send Content-Length."),
    Kind("moved", 412, "Changed since you read it", "Read it again; the ETag header is the current one."),
    Kind(
        "too-large",
        413,
        "Request too large",
        "Bodies are limited to 64 MB, states to 50 MB; without a valid token or login, bodies to 64 KB.",
    ),
    Kind("media-type", 415, "Unsupported media type", "Send Content-Type: application/json."),
    Kind("key-reused", 422, "Idempotency-Key already used", "Use a new key for a different request."),
    Kind("rate", 429, "Too many requests", "Retry after Retry-After seconds."),
    Kind("internal", 500, "Internal server error", "Retry. If it fails again, see the server's log."),
)
_OF_DOMAIN: Final = (Kind(error.problem, error.status, error.title, error.remedy) for error in errors.KINDS)
KINDS: Final = {kind.name: kind for kind in sorted((*_OWN, *_OF_DOMAIN), key=lambda kind: (kind.status, kind.name))}
RETRY_SECONDS: Final = "5"


class Problem(Exception):
    """A problem found by the API itself, as opposed to an error of the domain."""

    def __init__(
        self, kind: str, detail: str, *, places: Sequence[Mapping[str, object]] = (), headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.places, self.headers = KINDS[kind], detail, places, headers


def problem(
    kind: str | Kind,
    detail: str,
    *,
    places: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the response for a problem."""
    kind = KINDS[kind] if isinstance(kind, str) else kind
    body: dict[str, object] = {
        "type": type_url(kind.name),
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
    # Django would log each 4xx as a warning; the log is for faults of the server.
    response._has_been_logged = True  # type: ignore[attr-defined]
    if kind.status == 503:
        response["Retry-After"] = RETRY_SECONDS
    if kind.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Descartes StateStore"'
    return response


def type_url(kind: str) -> str:
    """Return the URL that identifies and explains a kind of problem."""
    return reverse("api:problem", args=[kind])


def answer_error(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the problem for an error raised by a call."""
    if isinstance(error, HttpError) and isinstance(error.__cause__, Exception):
        # The framework wraps errors raised while the body is parsed.
        return answer_error(request, error.__cause__)
    if isinstance(error, Problem):
        return problem(error.kind, error.detail, places=error.places, headers=error.headers)
    if isinstance(error, Error):
        error = translate(error)
    if isinstance(error, errors.StateStoreError):
        return _of_domain(request, error)
    if isinstance(error, SchemaError):
        return _of_schema(error)
    for raised, (name, detail) in _OF_FRAMEWORK.items():
        if isinstance(error, raised):
            return problem(name, detail)
    if isinstance(error, HttpError):
        return problem({400: "malformed", 403: "forbidden"}.get(error.status_code, "invalid"), error.message)
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem("internal", "The server failed to process this call. See its log for the cause.")


_NO_FORMS: Final = "Form bodies are not supported. Send Content-Type: application/json."
_OF_FRAMEWORK: Final[dict[type[Exception], tuple[str, str]]] = {
    AuthenticationError: ("unauthenticated", "This endpoint requires a token or a login."),
    Http404: ("not-found", "No endpoint at this path."),
    RequestDataTooBig: ("too-large", "The body is larger than 64 MB. Nothing was changed. Send it in parts."),
    FileRefused: ("media-type", _NO_FORMS),
    MultiPartParserError: ("media-type", _NO_FORMS),
    RawPostDataException: ("media-type", _NO_FORMS),
}


def _of_domain(request: HttpRequest, error: errors.StateStoreError) -> HttpResponse:
    is_conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
    name = "moved" if isinstance(error, errors.Moved) and is_conditional else error.problem
    etag = getattr(error, "etag", "")
    if KINDS[name].status >= 500:
        log.warning("%s %s: %s", request.method, request.path, error)
    headers = {"ETag": f'"{etag}"'} if etag else None
    return problem(name, str(error), places=_places(request, error), headers=headers)


def _places(request: HttpRequest, error: errors.StateStoreError) -> list[dict[str, object]]:
    """Return the place of the field that an error names: the query if it is a parameter, otherwise the body."""
    field = getattr(error, "field", "")
    if not field:
        return []
    if field not in request.GET:
        return [{"where": "body", "pointer": join([field]), "detail": str(error)}]
    position = getattr(error, "position", None)
    place = {"where": "query", "name": field, "detail": str(error)}
    return [place if position is None else {**place, "column": position + 1}]


def _of_schema(error: SchemaError) -> HttpResponse:
    places = [_place(violation) for violation in error.errors[:20]]
    first = places[0]
    field = first.get("name") or first.get("pointer") or first["where"]
    return problem("invalid", f"{field}: {first['detail']} Nothing was changed.", places=places)


def _place(violation: Mapping[str, Any]) -> dict[str, object]:
    source, *rest = violation["loc"]
    detail = {
        "extra_forbidden": "Unknown field.",
        "missing": "Required.",
    }.get(violation["type"], f"{violation['msg'].removeprefix('Value error, ')}.".replace("..", "."))
    if source == "body":
        # The first part is the framework's own name for the whole body.
        return {"where": "body", "pointer": join(rest[1:]), "detail": detail}
    return {"where": str(source), "name": str(rest[-1]) if rest else "", "detail": detail}
