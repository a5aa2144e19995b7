"""Stored values as JSON values. Text that is not valid UTF-8 shows U+FFFD; `odd_bytes` has the stored bytes."""

import base64
import json
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from statestore.db.fields import StoredBlob, text_bytes
from statestore.db.ids import RowId, to_address, url_of
from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff import parsing
from statestore.jsondiff.diff import Missing
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class Verbatim:
    """JSON text that is put into a response unchanged, with every literal as it was typed."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def text(value: str | None) -> str | None:
    """Return a text with lone surrogates (bytes that are not UTF-8) replaced by U+FFFD."""
    if value is None or (type(value) is str and value.isascii()):
        return value  # As most are.
    return _LONE_SURROGATE.sub("\ufffd", str(value))


def odd_bytes(row: object, names: Iterable[str]) -> dict[str, str] | None:
    """Return the stored bytes, in base64, of the columns that `text` cannot show exactly; None if there are none."""
    encoded = {}
    for name in names:
        value = getattr(row, name)
        if value is None or (type(value) is str and value.isascii()):
            continue  # As most are.
        if isinstance(value, StoredBlob) or _LONE_SURROGATE.search(value):
            encoded[name] = base64.b64encode(text_bytes(value)).decode()
    return encoded or None


def number(value: int | None) -> int | None:
    """Return a stored integer, None if the column holds something else."""
    if value is None or type(value) is int:
        return value
    return int(value) if getattr(value, "readable", True) else None


def iso(seconds: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC; None for NULL, and for a value that is not a time."""
    seconds = number(seconds)
    return None if seconds is None or not 0 <= seconds <= LAST_SECOND else _iso(seconds)


@lru_cache(maxsize=4096)
def _iso(seconds: int) -> str:
    # Formatting takes longer than the rest of a row, and who polls a list gets mostly the same times again.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def size(value: int | str | None) -> int | None:
    """Return the size that the database has counted, or that of the text itself in bytes."""
    return len(text_bytes(value)) if isinstance(value, str) else value


def stored_json(stored: str | None) -> Verbatim | None:
    """Return a stored text as JSON, None if it is not JSON or too large to check."""
    if stored is None or isinstance(stored, StoredBlob) or len(stored) > jsondiff_limits.MAX_PARSED_BYTES:
        return None
    try:
        parsing.parse(stored, max_bytes=jsondiff_limits.MAX_PARSED_BYTES)
    except parsing.NotJson:
        return None
    if _LONE_SURROGATE.search(stored) or (_SURROGATE_ESCAPE.search(stored) and _has_lone_escape(stored)):
        return None
    return Verbatim(stored)


def _has_lone_escape(stored: str) -> bool:
    try:
        parsing.canonical(parsing.parse(stored)).encode()
    except UnicodeEncodeError:
        return True
    return False


def changed_columns(stored: str | None) -> dict[str, object] | None:
    """Return one side of an audit entry as {column: value}."""
    if stored is None:
        return None
    return {column: text(value) if isinstance(value, str) else value for column, value in json.loads(stored).items()}


def parsed_json(value: Json | Missing) -> Verbatim | None:
    """Return a parsed value as JSON with its original literals, None for a missing one."""
    return None if isinstance(value, Missing) else Verbatim(parsing.dump(value, indent=None))


@lru_cache(maxsize=64, typed=True)
def address(row_id: str) -> str:
    """Return an id as used in paths. Cached, since a row's address is in its URLs too."""
    return to_address(row_id)


def url(view: str, row_id: RowId | int | None) -> str | None:
    """Return the URL of a row's page or call, None without a row."""
    return None if row_id is None else url_of(view, row_id)
