"""JSON Pointers (RFC 6901): the paths of values in a state."""

import re
from collections.abc import Iterable, Iterator

from statestore.jsondiff.parsing import Json

_ARRAY_INDEX = re.compile("0|[1-9][0-9]{0,15}")
_BAD_ESCAPE = re.compile("~(?![01])")


def join(parts: Iterable[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of keys and indexes; "" is the whole document."""
    return "".join(f"/{escape(str(part))}" for part in parts)


def escape(part: str) -> str:
    """Return one key escaped for a JSON Pointer."""
    return part.replace("~", "~0").replace("/", "~1") if "~" in part or "/" in part else part


def split(path: str) -> tuple[str, ...]:
    """Return the keys and indexes of a JSON Pointer, all as text. Raises ValueError for an invalid pointer."""
    if not path:
        return ()
    if path[0] != "/" or _BAD_ESCAPE.search(path):
        raise ValueError("A JSON Pointer is empty or starts with /. In keys, write ~ as ~0 and / as ~1.")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/"))


def leaf_paths(value: Json, path: str = "") -> Iterator[str]:
    """Yield the JSON Pointers of all leaves, in document order."""
    if not isinstance(value, dict | list) or not value:
        yield path
        return
    for part, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaf_paths(item, f"{path}/{escape(part) if isinstance(part, str) else part}")


def resolve(value: Json, path: str) -> Json:
    """Return the value at the JSON Pointer. Raises KeyError if there is none, or if the path is not a pointer."""
    try:
        parts = split(path)
    except ValueError:
        raise KeyError(path) from None
    for part in parts:
        value = _member(value, part, path)
    return value


def _member(value: Json, part: str, path: str) -> Json:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and _ARRAY_INDEX.fullmatch(part) and int(part) < len(value):
        return value[int(part)]
    raise KeyError(path)
