"""Stored state text, parsed to be shown and compared; never to be stored again in place of the text.

Python's own reading of JSON changes what it reads: 1e400 becomes infinity, -0 becomes 0, a second key of one name
wins. Here a number that Python would print differently keeps its literal, and text with two meanings is refused.
"""

import json
import marshal
import re
from collections.abc import Callable, Iterable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.encoder import encode_basestring
from math import isfinite, nan
from typing import Any, NoReturn, Self, TypeAlias, cast

from statestore.jsondiff import limits

_SHOWN_KEY_CHARS = 80
_SURROGATE = re.compile("[\ud800-\udfff]")
NEGATIVE_ZERO = re.compile(r"-0(?=[\s,\]}]|\Z)")
SPACE = re.compile(r"[ \t\n\r]*")
# Finds where a value ends; what it makes of the value is thrown away.
_scan = json.JSONDecoder(parse_int=len, parse_float=len).scan_once  # type: ignore[attr-defined]


class Number(bytes):
    """A number whose literal no Python number reproduces. Equal only to the same literal.

    Bytes, which JSON has no other use for: a state may hold a million of these, and bytes are compared in C.
    """

    __slots__ = ()

    def __new__(cls, literal: str) -> Self:
        return super().__new__(cls, literal.encode("ascii"))

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.literal,)

    def __str__(self) -> str:
        return self.literal

    @property
    def literal(self) -> str:
        """The number's text."""
        return self.decode("ascii")


Json: TypeAlias = bool | int | float | str | Number | list["Json"] | dict[str, "Json"] | None


class NotJson(ValueError):
    """The text cannot be shown as JSON: `reason` is a sentence for users, `position` counts characters from 0."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def parse(text: str, *, max_bytes: int = limits.MAX_PARSED_BYTES, max_depth: int = limits.MAX_DEPTH) -> Json:
    """Parse a text; numbers compare and print as they were written.

    Raises NotJson, and nothing else, for text that is not JSON, is over `max_bytes` of UTF-8, nests deeper than
    `max_depth`, holds NaN or Infinity, or names one key of an object twice. Lone surrogates are let through.
    """
    _refuse_large(text, max_bytes=max_bytes)
    try:
        value = _read(text)
    except json.JSONDecodeError as error:
        raise _plainly(error) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    # Looking at every value takes as long as reading them: not where there are too few containers to nest so deep.
    if text.count("[") + text.count("{") > max_depth and depth_exceeds(value, max_depth):
        raise _too_deep(max_depth)
    return value


def members(
    text: str, names: Iterable[str], *, max_bytes: int = limits.MAX_PARSED_BYTES, max_depth: int = limits.MAX_DEPTH
) -> tuple[Json, dict[str, str]]:
    """Parse a text, and return the source text of the named members of its top object too."""
    value = parse(text, max_bytes=max_bytes, max_depth=max_depth)
    texts: dict[str, str] = {}
    if not isinstance(value, dict):
        return value, texts
    wanted = set(names) & value.keys()
    position = text.find("{") + 1
    for left in range(len(value) - 1, -1, -1):
        if not wanted:
            break
        key, colon = scanstring(text, text.index('"', position) + 1)
        start = SPACE.match(text, text.index(":", colon) + 1).end()  # type: ignore[union-attr]
        # The last one, mostly the state, ends where the object does: it need not be read a second time.
        position = _scan(text, start)[1] if left else len(text.rstrip().removesuffix("}").rstrip())
        if key in wanted:
            wanted.discard(key)
            texts[key] = text[start:position]
    return value, texts


def top_level(text: str) -> tuple[type, frozenset[str]]:
    """Return the type of a text's value, and the keys of an object, in half of the time of `parse`.

    All numbers are of one type. Raises NotJson as `parse` does, but for keys named twice and for nesting that Python
    can still read.
    """
    _refuse_large(text, max_bytes=limits.MAX_PARSED_BYTES)
    try:
        value = _shallow.decode(text)
    except json.JSONDecodeError as error:
        raise _plainly(error) from None
    except RecursionError:
        raise _too_deep(limits.MAX_DEPTH) from None
    return type(value), frozenset(value) if isinstance(value, dict) else frozenset()


def _read(text: str) -> Json:
    value: Json
    if not NEGATIVE_ZERO.search(text):
        try:
            value = _usual.decode(text)
        except (json.JSONDecodeError, NotJson):
            raise
        except ValueError:
            # An integer has more digits than int() takes.
            pass
        else:
            return value
    value = _exact.decode(text)
    return value


def _refuse_large(text: str, *, max_bytes: int) -> None:
    # A character is one to four bytes: the text is encoded to be measured only where that leaves a doubt.
    if len(text) * 4 <= max_bytes:
        return
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise NotJson(f"It is too large to show as JSON (over {_in_words(max_bytes)}).")


def _in_words(size_bytes: int) -> str:
    mebibytes, rest = divmod(size_bytes, 1024 * 1024)
    return f"{mebibytes} MiB" if mebibytes and not rest else f"{size_bytes:,} bytes"


def _too_deep(max_depth: int) -> NotJson:
    return NotJson(f"It nests deeper than {max_depth} levels.")


def _integer(literal: str) -> int | Number:
    if literal == "-0":
        return Number(literal)
    try:
        return int(literal)
    except ValueError:
        return Number(literal)


def _decimal(literal: str) -> float | Number:
    value = float(literal)
    return value if repr(value) == literal else Number(literal)


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"It contains {name}, which is not a JSON number.")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson(f"It has the key {_first_repeated(pairs)} twice in one object.")
    return members


def _decoder(integer: Callable[[str], Json]) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_int=integer, parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_object
    )


_shallow = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse_constant)
# Only as int itself are integers read in C, five times faster than through a function.
_usual, _exact = _decoder(int), _decoder(_integer)
# Reads one value at a position, as `parse` does where no -0 and no huge integer occurs.
usual_scan: Callable[[str, int], tuple[Json, int]] = _usual.scan_once  # type: ignore[attr-defined]


def _first_repeated(pairs: list[tuple[str, Json]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return _quoted(key if len(key) <= _SHOWN_KEY_CHARS else key[:_SHOWN_KEY_CHARS] + "…")
        seen.add(key)
    return ""


def _plainly(error: json.JSONDecodeError) -> NotJson:
    if not error.doc.strip():
        return NotJson("It is empty.", 0)
    place = f"at line {error.lineno}, column {error.colno}"
    if error.msg == "Extra data":
        return NotJson(f"Unexpected text after the JSON value {place}.", error.pos)
    what = error.msg.removesuffix(" at").removesuffix(" starting")
    return NotJson(f"It is not JSON: {what[0].lower()}{what[1:]} {place}.", error.pos)


def depth_exceeds(value: Json, limit: int) -> bool:
    """Return whether containers are nested deeper than `limit` levels. A scalar has no level."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
    return bool(level)


def dump(value: Json, *, indent: int | None = 2) -> str:
    """Return the value as JSON text: literals and the order of keys are kept, and only what must be is escaped.

    Without `indent` the text is one line. Lone surrogates are escaped, so that the text can always be encoded.
    """
    text = _line(value) if indent is None else ""
    if not text:
        chunks: list[str] = []
        _write(value, chunks, None if indent is None else "\n", " " * (indent or 0))
        text = "".join(chunks)
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def beginning(value: Json, characters: int) -> str:
    """Return the first characters of the value's JSON text on one line, without making the rest.

    Longer than `characters` if there is more.
    """
    chunks: list[str] = []
    room = characters
    for chunk in _chunks(value):
        chunks.append(chunk[: room + 1])
        room -= len(chunk)
        if room < 0:
            break
    text = "".join(chunks)
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _chunks(value: Json) -> Iterator[str]:
    """Yield the parts of a value's text on one line, in order."""
    if isinstance(value, dict) and value:
        separator = "{"
        for key, item in value.items():
            yield f"{separator}{_quoted(key)}: "
            yield from _chunks(item)
            separator = ", "
        yield "}"
    elif isinstance(value, list) and value:
        separator = "["
        for item in value:
            yield separator
            yield from _chunks(item)
            separator = ", "
        yield "]"
    else:
        yield _leaf(value)


def canonical(value: Json) -> str:
    """Return a text that is equal for equal values only: keys are sorted, and 1, 1.0 and true differ."""
    return _CANONICAL.encode(value)


def _line(value: Json) -> str:
    """Return the value's text as the encoder in C writes it, or nothing where it cannot: with literals, or NaN."""
    try:
        return _LINE.encode(value)
    except (TypeError, ValueError):
        return ""


def _numbered(value: object) -> dict[str, float]:
    if isinstance(value, Number):
        # The encoder in C writes no literals; but no state holds a NaN, so that this stands for nothing else.
        return {value.literal: nan}
    raise _no_json_type(value)


def _no_json_type(value: object) -> TypeError:
    return TypeError(f"{type(value).__name__} is not a JSON type")


def _refuse_type(value: object) -> NoReturn:
    raise _no_json_type(value)


_LINE = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, default=_refuse_type)
_CANONICAL = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, default=_numbered)


def equal(left: Json, right: Json) -> bool:
    """Return whether two values are equal: keys in any order; 1, 1.0, true and "1" differ."""
    if equal_fast(left, right):
        return True
    return left == right and canonical(left) == canonical(right)


def equal_fast(left: Json, right: Json) -> bool:
    """Like `equal`, several times faster; False also for values that differ in key order alone.

    Python's == is not enough: to it 1, 1.0 and True are equal.
    """
    if left is right:
        return True
    if type(left) is not type(right) or left != right:
        return False
    return not isinstance(left, dict | list | float) or fingerprint(left) == fingerprint(right)


def fingerprint(value: Json) -> bytes:
    """Return bytes that are equal for equal values with the same key order, and for no others."""
    try:
        # The second version writes what a value is, down to the sign of a zero; later ones also tell which of its parts
        # happen to be one object.
        return marshal.dumps(cast(Any, value), 2)
    except ValueError:
        # It holds a Number. No marshalled value starts with a space.
        return f" {value!r}".encode("utf-8", "surrogatepass")


def _write(value: Json, chunks: list[str], line: str | None, step: str) -> None:
    """Append the value's text to `chunks`; `line` is the line break with the indentation of the value's own line."""
    if isinstance(value, dict) and value:
        brackets, starts = "{}", [f"{_quoted(key)}: " for key in value]
    elif isinstance(value, list) and value:
        brackets, starts = "[]", [""] * len(value)
    else:
        chunks.append(_leaf(value))
        return
    inner = None if line is None else line + step
    separator = inner or ""
    chunks.append(brackets[0])
    for start, item in zip(starts, value.values() if isinstance(value, dict) else value, strict=True):
        chunks.append(separator + start)
        _write(item, chunks, inner, step)
        separator = ", " if inner is None else f",{inner}"
    chunks.append((line or "") + brackets[1])


def _leaf(value: Json) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if isinstance(value, int | float | Number):
        return str(value)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    raise _no_json_type(value)


def _quoted(text: str) -> str:
    quoted: str = encode_basestring(text)
    return quoted
