"""LangGraph's msgpack as plain data: objects become what they were made of, with the name of their type."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import msgpack

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import opaque

# What LangGraph's serializer writes as extensions; each holds msgpack again.
_MADE_OF_ONE, _MADE_OF_MANY, _MADE_OF_FIELDS, _MADE_BY_METHOD, _PYDANTIC_1, _PYDANTIC_2, _NUMPY, SNAPSHOT = range(8)
_OF_OBJECTS: Final = {_MADE_OF_ONE, _MADE_OF_MANY, _MADE_OF_FIELDS, _MADE_BY_METHOD, _PYDANTIC_1, _PYDANTIC_2}
# Deeper data comes from no agent; Python's own stack would end it at some other depth each time.
_DEEPEST: Final = 200
# Objects within objects: each is read by a reader of its own, which takes tens of KB of the process's stack.
_DEEPEST_OBJECT: Final = 30
# Where there may be bytes, or a number that JSON lacks: their marks, which texts may hold too. One set of characters is
# looked for much faster than what exactly follows them.
_BYTES_OR_FLOATS: Final = re.compile(rb"[\xc4-\xc6\xca\xcb]")
_FOREIGN: Final = re.compile(rb"[\xc4-\xc6]|\xcb[\x7f\xff][\xf0-\xff]|\xca[\x7f\xff][\x80-\xff]")
# Times are no JSON either.
_TIMES: Final = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
# What maps and lists begin with; without many of these, nothing is nested deeply.
_CONTAINERS: Final = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
# A checkpoint repeats the messages of the one before it, byte for byte: each is read once, as long as it is not large.
_KEPT_OBJECTS: Final = 4_096
_KEPT_BYTES: Final = 8_192
_encode: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


class Damaged(ValueError):
    """The bytes are not msgpack, or not all of them are."""


def unpack(data: bytes) -> Json:
    """Return packed data as JSON: `{"$type": "decimal.Decimal", "$": "12.30"}` for an object, its fields for a model.

    Bytes become {"$bytes": base64}, numbers that JSON lacks {"$float": "nan"}, and a map whose keys are not texts, or
    begin with "$", {"$map": [[key, value], …]}. Raises Damaged.
    """
    try:
        if not _is_foreign(data):
            # Nearly all data is JSON once it is read.
            value: Json = _read(data, _simple_map, 0)
            if len(data) - len(data.translate(None, _CONTAINERS)) < _DEEPEST:
                return value
            # The encoder, which is fast, says whether this is.
            with suppress(ValueError, TypeError):
                _encode(value)
                return value
        return _plain(_read(data, _Pairs, 0), 0)
    except RecursionError:
        raise Damaged("nested too deeply") from None


def _is_foreign(data: bytes) -> bool:
    """Return whether there may be anything that is not JSON once it is read."""
    if _BYTES_OR_FLOATS.search(data) and _FOREIGN.search(data):
        return True
    return any(mark in data for mark in _TIMES)


def _read(data: bytes, make_map: Callable[[list[tuple[object, object]]], object], depth: int) -> Any:
    if depth > _DEEPEST_OBJECT:
        raise Damaged("nested too deeply")
    try:
        return msgpack.unpackb(
            data,
            object_pairs_hook=make_map,
            ext_hook=lambda code, inner: _extension(code, inner, make_map, depth + 1),
            strict_map_key=False,
            unicode_errors="surrogateescape",
        )
    # The library raises errors of several bases, none of them for more than damaged bytes.
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException) as error:
        raise Damaged(str(error)) from None


class _Pairs(list[tuple[object, object]]):
    """A map as its pairs: keys may be anything, and may occur twice."""


def _simple_map(pairs: list[tuple[object, object]]) -> object:
    """Return a map whose values are JSON already."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if type(key) is not str or key[:1] == "$":
            break
        found[key] = value
    if len(found) == len(pairs):
        return found
    return {"$map": [list(pair) for pair in pairs]}


def _plain(value: object, depth: int) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else {"$float": str(value)}
    if depth > _DEEPEST:
        raise Damaged("nested too deeply")
    if isinstance(value, dict):
        return value  # What an extension became.
    if isinstance(value, _Pairs):
        return _map(value, depth + 1)
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    return {"$type": type(value).__name__, "$": str(value)}


def _map(pairs: _Pairs, depth: int) -> Json:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if not isinstance(key, str) or key.startswith("$") or key in found:
            return {"$map": [[_plain(key, depth), _plain(value, depth)] for key, value in pairs]}
        found[key] = _plain(value, depth)
    return found


def _extension(code: int, data: bytes, make_map: Callable[[list[tuple[object, object]]], object], depth: int) -> Json:
    """Return what an extension holds; nothing changes it afterwards."""
    if make_map is _simple_map and depth == 1 and len(data) <= _KEPT_BYTES:
        return _kept_object(code, data)
    return _made_object(code, data, make_map, depth)


@lru_cache(maxsize=_KEPT_OBJECTS)
def _kept_object(code: int, data: bytes) -> Json:
    return _made_object(code, data, _simple_map, 1)


def _made_object(code: int, data: bytes, make_map: Callable[[list[tuple[object, object]]], object], depth: int) -> Json:
    """Return what an extension holds. Parts that need no more than a map each are JSON already."""
    if code not in _OF_OBJECTS and code not in {_NUMPY, SNAPSHOT}:
        return opaque(f"msgpack extension {code}", data)
    parts: Json = _read(data, make_map, depth)
    if make_map is not _simple_map:
        parts = _plain(parts, depth)
    if code == SNAPSHOT:
        return parts
    if not isinstance(parts, list):
        raise Damaged("an object without its parts")
    return _array(parts) if code == _NUMPY else _object(code, parts)


def _object(code: int, parts: Sequence[Json]) -> Json:
    """Return an object: [module, name, what it is made of, …]."""
    match parts:
        case [str(module), str(name), dict(fields), *_] if code in {_MADE_OF_FIELDS, _PYDANTIC_1, _PYDANTIC_2}:
            if not any(key.startswith("$") for key in fields):
                return {"$type": f"{module}.{name}", **fields}
            return {"$type": f"{module}.{name}", "$": fields}
        case [str(module), str(name), made_of, *_]:
            return {"$type": f"{module}.{name}", "$": made_of}
    raise Damaged("an object without a type")


def _array(parts: Sequence[Json]) -> Json:
    match parts:
        case [str(kind), list(shape), str(order), data]:
            return {"$type": f"numpy.ndarray[{kind}]", "shape": shape, "order": order, "data": data}
    raise Damaged("an array without its parts")
