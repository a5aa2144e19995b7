"""What any row has: an id, a time, bytes, a hash."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from django.db import models

from statestore.db.fields import new_id, now, text_bytes

# The last second of the year 9999, beyond which no calendar goes.
LAST_SECOND: Final = 253_402_300_799
# The ETag of an agent whose row is gone. No row has it.
GONE_ETAG: Final = "0" * 64
_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

__all__ = ["GONE_ETAG", "LAST_SECOND", "hash_of_columns", "is_uuid", "new_id", "now", "row_hash", "same_text", "sha256"]


def is_uuid(row_id: str) -> bool:
    """Return whether an id is a UUID as the orchestrator writes it: hyphenated, in lower case."""
    return _UUID.fullmatch(row_id) is not None


def sha256(text: str) -> str:
    """Return the hex SHA-256 of a text's stored bytes."""
    return hashlib.sha256(text_bytes(text)).hexdigest()


def same_text(left: str, right: str) -> bool:
    """Return whether two texts read from the store are the same bytes."""
    return text_bytes(left) == text_bytes(right)


def row_hash(row: models.Model) -> str:
    """Return the SHA-256 over all columns of a row, its ETag: it differs whenever anything in the row does.

    `version` and `updated_at` cannot serve: nothing bumps the one, and the other is in whole seconds.
    """
    if getattr(row, "is_gone", False):
        return GONE_ETAG
    return hash_of_columns(row, _hashed_names(type(row)))


def hash_of_columns(row: models.Model, names: Sequence[str]) -> str:
    """Return the SHA-256 over some columns of a row."""
    parts: list[bytes] = []
    for name in names:
        part = _hashed_bytes(getattr(row, name))
        parts += (len(part).to_bytes(8, "big"), part)
    return hashlib.sha256(b"".join(parts)).hexdigest()


@cache
def _hashed_names(model: type[models.Model]) -> tuple[str, ...]:
    unhashed = getattr(model, "UNHASHED", ())
    names = (field.attname for field in model._meta.concrete_fields if not field.generated)
    return tuple(name for name in names if name not in unhashed)


def _hashed_bytes(value: object) -> bytes:
    if isinstance(value, str):
        return b"s" + text_bytes(value)
    if isinstance(value, bytes | memoryview):
        return b"b" + bytes(value)
    return b"n" if value is None else b"i" + repr(getattr(value, "raw", value)).encode("utf-8", "surrogateescape")
