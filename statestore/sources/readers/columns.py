"""What the columns of another program's tables hold, taken as far as it can be: nothing here raises for bad data."""

import math
import re
from datetime import UTC, datetime
from typing import Final

from statestore.jsondiff import limits
from statestore.jsondiff.parsing import Json, NotJson, Number, parse
from statestore.sources.contract import Value, opaque

# Of a text, what fits into a line of a list.
_WORDS_CHARS: Final = 60
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# SQLite has no larger number for a row.
_LAST_ROW: Final = 2**63 - 1
# The times that Python's dates can show.
_FIRST_SECOND: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST_SECOND: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


def json_of(value: Value, *, max_bytes: int = limits.MAX_PARSED_BYTES) -> Json:
    """Return the JSON that a column holds; what is none, or cannot be shown as such, is opaque."""
    if isinstance(value, bytes):
        return _decoded(value, max_bytes)
    if isinstance(value, str):
        try:
            return parse(value, max_bytes=max_bytes)
        except NotJson:
            return opaque("text that is not JSON", raw(value))
    if isinstance(value, float) and not math.isfinite(value):
        return opaque("number that is not finite", raw(str(value)))
    # A column declared as JSON keeps a number's text as a number.
    return value


def _decoded(data: bytes, max_bytes: int) -> Json:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return opaque("bytes that are not text", data)
    return json_of(text, max_bytes=max_bytes)


def object_of(value: Json) -> dict[str, Json]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: Value | Json) -> str:
    """Return a text as it is, a number's digits, and nothing for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float | Number) and not isinstance(value, bool) else ""


def id_of(value: Value) -> str | None:
    """Return an id verbatim; None for what is none, or is a text with broken characters: no query would find it."""
    return value if isinstance(value, str) and not _SURROGATE.search(value) else None


def part_of_id(name: str) -> str:
    """Return a name so that a "/" after it cannot be taken for one of its own."""
    return name.replace("%", "%25").replace("/", "%2F")


def whole_of(value: Value) -> int:
    """Return a whole number as it is, and 0 for anything else."""
    return value if isinstance(value, int) else 0


def raw(text: str) -> bytes:
    """Return a text's bytes, whatever characters a driver has made of broken ones."""
    return text.encode("utf-8", "surrogatepass")


def is_opaque(value: Json) -> bool:
    """Return whether a value stands for one that could not be read."""
    return isinstance(value, dict) and "$opaque" in value


def seconds(value: Value | Json) -> float | None:
    """Return the UTC seconds of a number or of an ISO text, exactly; a text without a zone is UTC. None for others."""
    try:
        at = _read_seconds(value)
    except (ValueError, OverflowError):
        return None
    return at if at is not None and _FIRST_SECOND <= at <= _LAST_SECOND else None


def _read_seconds(value: Value | Json) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Number):
        return float(value.literal)
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def first_words(text: str) -> str:
    """Return the beginning of a text on one line, with … where it goes on."""
    words = " ".join(text[: _WORDS_CHARS * 4].split())
    is_whole = len(words) <= _WORDS_CHARS and len(text) <= _WORDS_CHARS * 4
    return words if is_whole else words[: _WORDS_CHARS - 1].rstrip() + "…"


def quoted(name: str) -> str:
    """Return a table's name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def number_of_key(key: str) -> int | None:
    """Return the row's number that a key is made of, None if it is no number of a row."""
    is_number = key.isascii() and key.isdecimal() and len(key) <= len(str(_LAST_ROW))
    return int(key) if is_number and int(key) <= _LAST_ROW else None
