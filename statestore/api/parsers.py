"""Request bodies: UTF-8 JSON of bounded size and depth. Each error names the position of its cause."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, TypeVar

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import BaseModel

from statestore.api import limits
from statestore.api.problems import Problem
from statestore.forms import AgentFilterForm
from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.parsing import Json

# A string, or a token outside of strings that counts for depth or is not JSON.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|-?Infinity|NaN', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Members stored as the text that was sent; they may contain any JSON escape.
_VERBATIM: Final = ("state", "state_before", "state_after")


class BodyParser(Parser):
    """Reads bodies for the framework, and keeps the source text of members that are stored verbatim."""

    def parse_body(self, request: HttpRequest) -> Any:
        media = request.content_type or "application/json"
        if media != "application/json":
            raise Problem("media-type", f"This call takes application/json, not {media[:60]}.")
        text = decoded(request.body)
        value, request.verbatim = parsed(text)  # type: ignore[attr-defined]
        return value


def check_length(request: HttpRequest) -> None:
    """Reject a chunked body without a Content-Length: WSGI would present it as empty."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower() and not request.headers.get("Content-Length"):
        raise Problem("length", "Only /import accepts a chunked body. Send Content-Length.")


def reader(request: HttpRequest) -> Callable[[int], bytes]:
    """Return the `read` of a body of any length: the spooled file's, the request's, or for chunks the server's."""
    file: IO[bytes] | None = getattr(request, "spooled", None)
    if file is not None:
        read: Callable[[int], bytes] = file.read
    elif request.headers.get("Content-Length"):
        read = request.read
    else:
        read = request.META["wsgi.input"].read
    return read


@contextmanager
def spooled(request: HttpRequest) -> Iterator[str]:
    """Copy a body into a temporary file, from which `reader` then reads, and yield its SHA-256."""
    read, digest = reader(request), hashlib.sha256()
    with SpooledTemporaryFile(max_size=limits.SPOOLED_BYTES) as file:
        while chunk := read(limits.CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.seek(0)
        request.spooled = file  # type: ignore[attr-defined]
        yield digest.hexdigest()


def decoded(raw: bytes) -> str:
    """Return a body's text, without the byte order mark that Windows programs put ahead of it (RFC 8259, 8.1)."""
    try:
        return raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        detail = f"The body is not valid UTF-8 (byte {error.start})."
        place = {"where": "body", "byte": error.start, "detail": detail}
        raise Problem("malformed", detail, places=[place]) from None


def parsed(text: str) -> tuple[Json, dict[str, str]]:
    """Return a body's value, and the source text of its members that are stored verbatim."""
    value, verbatim = read(text)
    for name in verbatim:
        if isinstance(value, dict) and parsing.depth_exceeds(value[name], jsondiff_limits.MAX_DEPTH):
            raise _unstorable((name,), f"is nested deeper than {jsondiff_limits.MAX_DEPTH} levels.")
    _check_texts(text, value)
    for name, member in verbatim.items():
        _check_state_size(name, member)
    return value, verbatim


def read(text: str) -> tuple[Json, dict[str, str]]:
    """Return the same as `parsed`, without checking the texts: for a batch, whose items are checked one by one."""
    try:
        # Verbatim members are one level down.
        return parsing.members(
            text,
            _VERBATIM,
            max_bytes=limits.MAX_BODY_BYTES,
            max_depth=jsondiff_limits.MAX_DEPTH + limits.ENVELOPE_LEVELS,
        )
    except parsing.NotJson as error:
        if "levels" in error.reason:
            error = parsing.NotJson(f"The body is nested deeper than {jsondiff_limits.MAX_DEPTH} levels.")
        raise _unreadable(text, error) from None


def _check_texts(text: str, value: Json) -> None:
    if _SURROGATE_ESCAPE.search(text):
        for path, leaf in _texts(value, ()):
            if _is_lone(leaf):
                raise _unstorable(path, "contains a lone surrogate, which is not valid text.")
    if "\\u0000" in text:
        for path, leaf in _texts(value, ()):
            if "\0" in leaf and path[0:1] not in [(name,) for name in _VERBATIM]:
                raise _unstorable(path, "contains a NUL character, which PostgreSQL cannot store.")


def _texts(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the texts of a value with their paths, keys included."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))


def _is_lone(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _unstorable(path: tuple[str | int, ...], predicate: str) -> Problem:
    place = pointer.join(path).encode("utf-8", "replace").decode()
    detail = f"{place} {predicate}"
    return Problem("unstorable", detail, places=[{"where": "body", "pointer": place, "detail": detail}])


def _unreadable(text: str, error: parsing.NotJson) -> Problem:
    position = error.position if error.position is not None else _position(text)
    kind = "malformed" if error.position is not None else "unstorable"
    if "too large" in error.reason:
        kind = "too-large"
    place: dict[str, object] = {"where": "body", "detail": error.reason}
    if position is not None:
        place["line"] = text.count("\n", 0, position) + 1
        place["column"] = position - text.rfind("\n", 0, position)
    return Problem(kind, f"{error.reason} Nothing was changed.", places=[place])


def _position(text: str) -> int | None:
    """Return the position of the first NaN, Infinity or bracket above the depth limit, None without any."""
    level = 0
    for token in _TOKENS.finditer(text):
        word = token[0]
        if word in "[{":
            level += 1
            if level > jsondiff_limits.MAX_DEPTH + limits.ENVELOPE_LEVELS:
                return token.start()
        elif word in "]}":
            level -= 1
        elif word[0] != '"':
            return token.start()
    return None


Form = TypeVar("Form", bound=AgentFilterForm)


def valid_form(kind: type[Form], params: BaseModel) -> Form:
    """Return the form with which a page validates the same filters. Raises a problem for the first error."""
    form = kind({name: value for name, value in params.model_dump().items() if value is not None})
    if not form.is_valid():
        name, errors = next(iter(form.errors.items()))
        raise Problem("invalid", f"{name}: {errors[0]}", places=[{"where": "query", "name": name, "detail": errors[0]}])
    return form


def stored(value: Any) -> str | None:
    """Return a body's value as its column stores it: a string unchanged, anything else as JSON, literals preserved."""
    return value if value is None or isinstance(value, str) else parsing.dump(value, indent=None)


def state_text(request: HttpRequest, body: object, name: str = "state") -> str | None:
    """Return the state in a body: the text of `state_data`, or the source text of `state`."""
    member = f"{name}_data" if name == "state" else f"{name}_text"
    text: str | None = getattr(body, member)
    if text is not None:
        _check_state_size(member, text)
        return text
    verbatim: dict[str, str] = getattr(request, "verbatim", {})
    return verbatim.get(name)


def _check_state_size(name: str, text: str) -> None:
    if len(text) > limits.MAX_STATE_BYTES or len(text.encode()) > limits.MAX_STATE_BYTES:
        detail = f"{name} is larger than 50 MB. Nothing was changed."
        raise Problem("too-large", detail, places=[{"where": "body", "pointer": f"/{name}", "detail": detail}])
