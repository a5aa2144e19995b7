"""JSON responses with ETags. States go out as their stored text, never parsed and dumped."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags

from statestore.access import etags
from statestore.api.problems import Problem
from statestore.api.schemas.common import Out, PageIn
from statestore.api.serializers import Verbatim
from statestore.db import pagination

CONTENT_TYPE: Final = "application/json"

Row = TypeVar("Row")
StoredRow = TypeVar("StoredRow", bound=Model)


def json_bytes(payload: object) -> bytes:
    """Return a payload as JSON, its verbatim parts unchanged."""
    verbatim: list[str] = []
    placeholder = ""

    def convert(value: object) -> object:
        nonlocal placeholder
        if isinstance(value, Out):
            return value.members()
        if not isinstance(value, Verbatim):
            raise TypeError(type(value).__name__)
        # Random for each response: no stored text can contain it.
        placeholder = placeholder or secrets.token_hex(16)
        verbatim.append(value.text)
        return placeholder

    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=convert)
    if verbatim:
        parts = text.split(f'"{placeholder}"')
        text = "".join(part + json_text for part, json_text in zip(parts, [*verbatim, ""], strict=True))
    return text.encode("utf-8", "surrogatepass")


def answer(payload: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a JSON response."""
    response = HttpResponse(json_bytes(payload), status=status, content_type=CONTENT_TYPE)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def no_content() -> HttpResponse:
    """Return 204 No Content."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response


def resource(request: HttpRequest, etag: str, payload: Callable[[], object]) -> HttpResponse:
    """Return a resource with its ETag, or 304 if the caller already has it."""
    headers = {"ETag": f'"{etag}"'}
    # Not get_conditional_response: it answers If-Match and If-Unmodified-Since too, with a 412 that is not a problem.
    cached = {etags.from_header(tag) for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    if cached & {etag, etags.ANY}:
        return HttpResponseNotModified(headers=headers)
    return answer(payload(), headers=headers)


def tagged(request: HttpRequest, payload: object) -> HttpResponse:
    """Return a resource that is not a single row, with the hash of its JSON as ETag."""
    return resource(request, etag_of(payload), lambda: payload)


def etag_of(payload: object) -> str:
    """Return the ETag of a resource that is not a single row: the hash of its JSON."""
    return hashlib.sha256(json_bytes(payload)).hexdigest()


def written(payload: Any, *, etag: str | None = None, is_new: bool = False) -> HttpResponse:
    """Return a resource after a write. Its ETag is by default the hash of its JSON."""
    headers = {"ETag": f'"{etag or etag_of(payload)}"'} | ({"Location": payload.url} if is_new else {})
    return answer(payload, status=201 if is_new else 200, headers=headers)


def check_etag(request: HttpRequest, present: str) -> None:
    """Raise Moved unless If-Match is absent or names the present ETag."""
    etags.expect_etag(present, if_match(request))


def if_match(request: HttpRequest) -> str | None:
    """Return the ETag in If-Match, None without the header; `*` requires only that the row exists.

    An ETag that is not ours matches no row.
    """
    header = request.headers.get("If-Match")
    if header is None:
        return None
    tags = parse_etags(header)
    if len(tags) != 1:
        raise _invalid_header("If-Match", "If-Match takes one ETag in quotes, as in the ETag header.")
    return etags.from_header(tags[0])


def if_match_of_present(request: HttpRequest) -> str | None:
    """Return the ETag in If-Match for a row known to exist: `*` is then no condition."""
    tag = if_match(request)
    return None if tag == etags.ANY else tag


def _invalid_header(name: str, detail: str) -> Problem:
    place = {"where": "header", "name": name, "detail": detail}
    return Problem("invalid", f"{detail} Nothing was changed.", places=[place])


def must_be_new(request: HttpRequest) -> bool:
    """Return whether the request may only create: `If-None-Match: *`."""
    header = request.headers.get("If-None-Match")
    if header is not None and header.strip() != "*":
        raise _invalid_header("If-None-Match", "A write accepts only If-None-Match: * (create, never overwrite).")
    return header is not None


def check_row(request: HttpRequest, row: Model | None) -> None:
    """Raise Moved unless If-Match is absent or names the row's present ETag."""
    etags.expect(row, if_match(request))


def listed(rows: Iterable[Row], serialize: Callable[[Row], object], next_cursor: str | None = None) -> HttpResponse:
    """Return one page of a list."""
    return answer({"items": [serialize(row) for row in rows], "next": next_cursor})


def page_of(
    rows: QuerySet[StoredRow], order: Sequence[str], params: PageIn, serialize: Callable[[StoredRow], object]
) -> HttpResponse:
    """Return the page of a queryset that the parameters request."""
    page = pagination.page(rows, order, cursor=params.cursor, size=params.limit)
    return listed(page, serialize, page.older)
