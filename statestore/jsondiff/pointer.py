"""JSON Pointers (RFC 6901): the paths of values in a state.

Keys may contain what is not valid text, or what no form and no URL takes: lone surrogates, and NUL. RFC 6901 has no
escape for them, so they are written as ~ud800 and ~u0000: a path is always valid text, and no two keys share one.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from statestore.jsondiff.parsing import Json

_INDEX: Final = re.compile("0|[1-9][0-9]{0,14}")
_SPECIAL: Final = re.compile("[~/\0\ud800-\udfff]")
_ESCAPE: Final = re.compile("~(0|1|u0000|ud[89a-f][0-9a-f]{2})")
_BAD_ESCAPE: Final = re.compile(f"~(?!{_ESCAPE.pattern[1:]})")


def join(parts: Iterable[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of keys and indexes; "" is the whole document."""
    return "".join(f"/{escape(str(part))}" for part in parts)


def escape(part: str) -> str:
    """Return one key escaped for a JSON Pointer."""
    return part if part.isalnum() and part.isascii() else _SPECIAL.sub(_escaped, part)


def _escaped(character: re.Match[str]) -> str:
    return {"~": "~0", "/": "~1"}.get(character[0]) or f"~u{ord(character[0]):04x}"


def _unescaped(escape: re.Match[str]) -> str:
    return {"0": "~", "1": "/"}.get(escape[1]) or chr(int(escape[1][1:], 16))


def item_index(part: str) -> int | None:
    """Return the index of a list's item that a part of a path names, None if it names none: `00` and `٠` do not."""
    return int(part) if _INDEX.fullmatch(part) else None


@lru_cache(maxsize=256)
def split(path: str) -> tuple[str, ...]:
    """Return the keys and indexes of a JSON Pointer, all as text. Raises ValueError for an invalid pointer."""
    if not path:
        return ()
    if path[0] != "/" or _BAD_ESCAPE.search(path):
        raise ValueError("A JSON Pointer is empty or starts with /. In keys, write ~ as ~0 and / as ~1.")
    parts = path[1:].split("/")
    return tuple(parts) if "~" not in path else tuple(_ESCAPE.sub(_unescaped, part) for part in parts)


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
        value = member(value, part)
    return value


def member(value: Json, part: str) -> Json:
    """Return the member or item of a value that a part of a path names. Raises KeyError if there is none."""
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and (place := item_index(part)) is not None and place < len(value):
        return value[place]
    raise KeyError(part)
