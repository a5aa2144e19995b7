"""What goes out: JSON with entity tags; states as they are stored, never read and written anew."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags

from statestore.access import etags
from statestore.api.problems import Problem
from statestore.db import pagination

CONTENT_TYPE: Final = "application/json"


class Verbatim:
    """JSON text that goes into an answer as it is: every literal stays as it was typed."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def json_bytes(payload: Any) -> bytes:
    """Return a payload as JSON, its verbatim parts untouched."""
    kept: list[str] = []
    mark = ""

    def keep(value: Any) -> str:
        nonlocal mark
        if not isinstance(value, Verbatim):
            raise TypeError(type(value).__name__)
        # Nobody who writes states can know the mark of an answer.
        mark = mark or secrets.token_hex(16)
        kept.append(value.text)
        return mark

    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=keep)
    if kept:
        parts = text.split(f'"{mark}"')
        text = "".join(part + between for part, between in zip(parts, [*kept, ""], strict=True))
    return text.encode("utf-8", "surrogatepass")


def answer(payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a JSON response."""
    response = HttpResponse(json_bytes(payload), status=status, content_type=CONTENT_TYPE)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def nothing() -> HttpResponse:
    """Return that it was done, and that there is no more to say."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response


def resource(request: HttpRequest, etag: str, payload: Callable[[], Any]) -> HttpResponse:
    """Return one resource under its entity tag, or 304 where the caller has it already."""
    if {etag, "*"} & set(_tags(request.headers.get("If-None-Match", ""))):
        response = HttpResponse(status=304)
        del response["Content-Type"]
        response["ETag"] = f'"{etag}"'
        return response
    return answer(payload(), headers={"ETag": f'"{etag}"'})


def tagged(request: HttpRequest, payload: Any) -> HttpResponse:
    """Return a resource that is more than one row: what it says is its entity tag."""
    return resource(request, etag_of(payload), lambda: payload)


def etag_of(payload: Any) -> str:
    """Return the entity tag of a resource that is more than one row."""
    return hashlib.sha256(json_bytes(payload)).hexdigest()


def written(payload: Any, *, status: int = 200) -> HttpResponse:
    """Return such a resource after a write: under its entity tag, and where it is new, with its address."""
    headers = {"ETag": f'"{etag_of(payload)}"'} | ({"Location": payload["url"]} if status == 201 else {})
    return answer(payload, status=status, headers=headers)


def check_etag(request: HttpRequest, present: str) -> None:
    """Raise Moved where what is about to be changed is not what If-Match names."""
    etags.expect_etag(present, if_match(request))


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")] if header else []


def if_match(request: HttpRequest) -> str | None:
    """Return the entity tag that a write is bound to, None for none; `*` asks only that the row is there.

    A tag that was not made here, or a weak one, is that of no row.
    """
    header = request.headers.get("If-Match")
    if header is None:
        return None
    tags = parse_etags(header)
    if len(tags) != 1:
        raise _refused_header("If-Match", "If-Match takes one entity tag, as ETag gave it, in quotes.")
    return str(tags[0]).strip('"')


def if_match_of_present(request: HttpRequest) -> str | None:
    """Return the entity tag that a write of a row that was found is bound to; `*` binds it to nothing more."""
    tag = if_match(request)
    return None if tag == etags.ANY else tag


def _refused_header(name: str, what: str) -> Problem:
    place = {"where": "header", "name": name, "detail": what}
    return Problem("invalid", f"{what} Nothing was changed.", places=[place])


def must_be_new(request: HttpRequest) -> bool:
    """Return whether the caller only wants to create: `If-None-Match: *`."""
    header = request.headers.get("If-None-Match")
    if header is not None and header.strip() != "*":
        raise _refused_header("If-None-Match", "On a write If-None-Match can only be *: create, never overwrite.")
    return header is not None


def check_row(request: HttpRequest, row: Any) -> None:
    """Raise Moved where a row that is about to be changed is not the one of If-Match."""
    etags.expect(row, if_match(request))


def listed(
    page: pagination.Page[Any] | Iterable[Any], shape: Callable[[Any], Any], next_cursor: str | None = None
) -> Any:
    """Return a page as every list of the API looks."""
    cursor = page.older if isinstance(page, pagination.Page) else next_cursor
    return {"items": [shape(row) for row in page], "next": cursor}
