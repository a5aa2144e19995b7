"""LangGraph's msgpack as plain data: objects become what they were made of, with the name of their type."""

import base64
from collections.abc import Sequence
from typing import Final

import msgpack

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import opaque

# What LangGraph's serializer writes as extensions; each holds msgpack again.
_MADE_OF_ONE, _MADE_OF_MANY, _MADE_OF_FIELDS, _MADE_BY_METHOD, _PYDANTIC_1, _PYDANTIC_2, _NUMPY, SNAPSHOT = range(8)
_OF_OBJECTS: Final = {_MADE_OF_ONE, _MADE_OF_MANY, _MADE_OF_FIELDS, _MADE_BY_METHOD, _PYDANTIC_1, _PYDANTIC_2}
# Deeper data comes from no agent; Python's own stack would end it at some other depth each time.
_DEEPEST: Final = 200


class Damaged(ValueError):
    """The bytes are not msgpack, or not all of them are."""


def unpack(data: bytes) -> Json:
    """Return packed data as JSON: `{"$type": "decimal.Decimal", "$": "12.30"}` for an object, its fields for a model.

    Bytes become {"$bytes": base64}, numbers that JSON lacks {"$float": "nan"}, and a map whose keys are not texts, or
    begin with "$", {"$map": [[key, value], …]}. Raises Damaged.
    """
    return _unpacked(data, 0)


def _unpacked(data: bytes, depth: int) -> Json:
    if depth > _DEEPEST:
        raise Damaged("nested too deeply")
    try:
        value: object = msgpack.unpackb(
            data,
            object_pairs_hook=_Pairs,
            ext_hook=lambda code, inner: _extension(code, inner, depth + 1),
            strict_map_key=False,
            unicode_errors="surrogateescape",
        )
    # The library raises errors of several bases, none of them for more than damaged bytes.
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Damaged(str(error)) from None
    return _plain(value, depth)


class _Pairs(list[tuple[object, object]]):
    """A map as its pairs: keys may be anything, and may occur twice."""


class _Json:
    """A value that is JSON already."""

    __slots__ = ("value",)

    def __init__(self, value: Json) -> None:
        self.value = value


def _plain(value: object, depth: int) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else {"$float": str(value)}
    if depth > _DEEPEST:
        raise Damaged("nested too deeply")
    if isinstance(value, _Json):
        return value.value
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


def _extension(code: int, data: bytes, depth: int) -> object:
    if code == SNAPSHOT:
        return _Json(_unpacked(data, depth))
    if code not in _OF_OBJECTS and code != _NUMPY:
        return _Json(opaque(f"msgpack extension {code}", data))
    parts = _unpacked(data, depth)
    if not isinstance(parts, list):
        raise Damaged("an object without its parts")
    return _Json(_array(parts) if code == _NUMPY else _object(code, parts))


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
