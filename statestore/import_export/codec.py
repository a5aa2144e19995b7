"""One row as one line of JSON, and back: text, invalid UTF-8, blobs and wrongly typed integers stay what they are."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from statestore.db.fields import NonInteger, StoredBlob, has_surrogate, text_bytes
from statestore.errors import ValidationError

FORMAT: Final = {"statestore_export": 1}


def line(payload: Mapping[str, object]) -> bytes:
    """Return a payload as one line."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def row_line(table: str, columns: Sequence[str], values: Sequence[object]) -> bytes:
    """Return a row as one line."""
    return line({"table": table, "row": dict(zip(columns, map(to_json, values), strict=True))})


def to_json(value: object) -> object:
    """Return a stored value as JSON; bytes and wrongly typed values become objects that name their type."""
    if isinstance(value, NonInteger):
        return {"odd": to_json(value.raw if not isinstance(value.raw, bytes) else StoredBlob(value.raw))}
    if isinstance(value, StoredBlob):
        return {"blob": _encode(value.raw)}
    if isinstance(value, str):
        return {"text": _encode(text_bytes(value))} if has_surrogate(value) else str(value)
    if isinstance(value, float):
        return {"real": value.hex()}
    return value


def from_json(value: object) -> Any:
    """Return the stored value of a line's JSON. Raises ValidationError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and not has_surrogate(value):
        return value
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        try:
            return _DECODED[kind](inner)
        except (KeyError, ValueError, TypeError):
            pass
    raise ValidationError("a column has a value that no export contains.")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _odd(inner: object) -> NonInteger:
    raw = from_json(inner)
    return NonInteger(raw.raw if isinstance(raw, StoredBlob) else raw)


_DECODED: Final = {
    "blob": lambda inner: StoredBlob(base64.b64decode(inner, validate=True)),
    "text": lambda inner: base64.b64decode(inner, validate=True).decode("utf-8", "surrogateescape"),
    "real": float.fromhex,
    "odd": _odd,
}
