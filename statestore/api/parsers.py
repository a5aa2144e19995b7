"""What comes in: UTF-8 JSON of bounded size and depth, each refusal with its place."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from django.http import HttpRequest
from ninja.parser import Parser

from statestore.api.problems import Problem
from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.parsing import Json

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MAX_STATE_BYTES: Final = 50 * 1024 * 1024
_ENVELOPE_LEVELS: Final = 1
_SPOOLED_BYTES: Final = 8 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
# A string, or something that a reader of JSON stumbles over outside of one.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|-?Infinity|NaN', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
# What is stored as the text that was sent, and may hold any escape that JSON has.
_AS_SENT: Final = ("state", "state_before", "state_after")


class BodyParser(Parser):
    """Reads bodies for the framework, and keeps the text of what must be stored as it was sent."""

    def parse_body(self, request: HttpRequest) -> Any:
        media = request.content_type or "application/json"
        if media != "application/json":
            raise Problem("media-type", f"The body is {media[:60]}; this call takes application/json.")
        text = decoded(request.body)
        value, request.sent_text = parsed(text)  # type: ignore[attr-defined]
        return value


def check_length(request: HttpRequest) -> None:
    """Refuse a body whose length nobody said: the server would take it for an empty one."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower() and not request.headers.get("Content-Length"):
        raise Problem("length", "A body in chunks is taken by /import alone. Send it with its length.")


def reader(request: HttpRequest) -> Callable[[int], bytes]:
    """Return what reads a body of any length: from where it was spooled, as far as announced, or all of its chunks."""
    file: Any = getattr(request, "spooled", None)
    if file is not None:
        found: Callable[[int], bytes] = file.read
    elif request.headers.get("Content-Length"):
        found = request.read
    else:
        found = request.META["wsgi.input"].read
    return found


@contextmanager
def spooled(request: HttpRequest) -> Iterator[str]:
    """Read a body into a temporary file, from which `reader` goes on, and give its SHA-256."""
    read, digest = reader(request), hashlib.sha256()
    with SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as file:
        while part := read(_CHUNK_BYTES):
            digest.update(part)
            file.write(part)
        file.seek(0)
        request.spooled = file  # type: ignore[attr-defined]
        yield digest.hexdigest()


def decoded(raw: bytes) -> str:
    """Return a body's text."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        place = {"where": "body", "byte": error.start, "detail": "This byte is no UTF-8."}
        raise Problem("malformed", f"The body is no UTF-8 from byte {error.start} on.", places=[place]) from None


def parsed(text: str) -> tuple[Json, dict[str, str]]:
    """Return a body's value, and the text of those members that are stored as they were sent."""
    value, sent = read(text)
    for name in sent:
        if isinstance(value, dict) and parsing.depth_exceeds(value[name], jsondiff_limits.MAX_DEPTH):
            raise _refused((name,), f"nests deeper than {jsondiff_limits.MAX_DEPTH} levels.")
    _check_texts(text, value)
    for name, part in sent.items():
        if len(part) > MAX_STATE_BYTES or len(part.encode()) > MAX_STATE_BYTES:
            place = {"where": "body", "pointer": f"/{name}", "detail": "It is over 50 MB."}
            raise Problem("too-large", f"{name} is over 50 MB. Nothing was changed.", places=[place])
    return value, sent


def read(text: str) -> tuple[Json, dict[str, str]]:
    """Return the same of a body whose texts are checked one by one by whoever takes them."""
    try:
        # What is stored as it was sent is one level down.
        return parsing.members(
            text, _AS_SENT, max_bytes=MAX_BODY_BYTES, max_depth=jsondiff_limits.MAX_DEPTH + _ENVELOPE_LEVELS
        )
    except parsing.NotJson as error:
        if "levels" in error.reason:
            error = parsing.NotJson(f"It nests deeper than {jsondiff_limits.MAX_DEPTH} levels.")
        raise _unread(text, error) from None


def _check_texts(text: str, value: Json) -> None:
    if _SURROGATE_ESCAPE.search(text):
        for path, leaf in _texts(value, ()):
            if _is_lone(leaf):
                raise _refused(path, "holds half of a surrogate pair, which is no text.")
    if "\\u0000" in text:
        for path, leaf in _texts(value, ()):
            if "\0" in leaf and path[0:1] not in [(name,) for name in _AS_SENT]:
                raise _refused(path, "holds a NUL character, which PostgreSQL cannot store.")


def _texts(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield all texts of a value with their paths, keys included."""
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


def _refused(path: tuple[str | int, ...], what: str) -> Problem:
    where = pointer.join(path).encode("utf-8", "replace").decode()
    return Problem("unstorable", f"{where} {what}", places=[{"where": "body", "pointer": where, "detail": what}])


def _unread(text: str, error: parsing.NotJson) -> Problem:
    position = error.position if error.position is not None else _position(text)
    kind = "malformed" if error.position is not None else "unstorable"
    if "too large" in error.reason:
        kind = "too-large"
    place: dict[str, Any] = {"where": "body", "detail": error.reason}
    if position is not None:
        place["line"] = text.count("\n", 0, position) + 1
        place["column"] = position - text.rfind("\n", 0, position)
    return Problem(kind, f"{error.reason} Nothing was changed.", places=[place])


def _position(text: str) -> int | None:
    """Return where the text first has NaN, Infinity, or a level too many; None where it has neither."""
    level = 0
    for token in _TOKENS.finditer(text):
        word = token[0]
        if word in "[{":
            level += 1
            if level > jsondiff_limits.MAX_DEPTH + _ENVELOPE_LEVELS:
                return token.start()
        elif word in "]}":
            level -= 1
        elif word[0] != '"':
            return token.start()
    return None


def stored(value: Any) -> str | None:
    """Return a value of a body as its column holds it: a text as it is, anything else as JSON with its own literals."""
    return value if value is None or isinstance(value, str) else parsing.dump(value, indent=None)


def state_text(request: HttpRequest, body: Any, name: str = "state") -> str | None:
    """Return the state that a body carries: the text of `state_data`, or that of `state` as it was sent."""
    text: str | None = getattr(body, f"{name}_data" if name == "state" else f"{name}_text")
    if text is not None:
        if len(text) > MAX_STATE_BYTES or len(text.encode()) > MAX_STATE_BYTES:
            place = {"where": "body", "pointer": f"/{name}_data", "detail": "It is over 50 MB."}
            raise Problem("too-large", "The state is over 50 MB. Nothing was changed.", places=[place])
        return text
    sent: dict[str, str] = getattr(request, "sent_text", {})
    return sent.get(name)
