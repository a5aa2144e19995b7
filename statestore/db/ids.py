"""Ids in URLs: simple ones as they are, others as base64url after a tilde, very long ones as prefix and hash.

An agent's id is any text that a program wrote: it may be empty, contain slashes, control characters or invalid UTF-8,
or be 100 KB long. A page that links to it must work.
"""

import base64
import binascii
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from django.urls import get_script_prefix, reverse

from statestore.db.fields import StoredBlob, text_bytes

_TAME: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
ADDRESS: Final = rf"~!?[A-Za-z0-9_-]*|~~[A-Za-z0-9_-]*~[0-9a-f]{{64}}|{_TAME.pattern}"
# Words that stand where an id does, in the dashboard's addresses or in the API's; a test reads them from there.
RESERVED: Final = frozenset({".", "..", "batch", "bulk", "delete-expired", "preview", "search"})
# Servers refuse request lines of some KB: beyond this, an address names an id by its beginning and its SHA-256.
LONG_BYTES: Final = 1024
PREFIX_CHARACTERS: Final = 64
# A number too: some views take one.
_PLACEHOLDER: Final = "1234567890"


@dataclass(frozen=True, slots=True)
class HashedId:
    """An id too long for an address: the text that it begins with, and the SHA-256 of the whole."""

    prefix: str
    sha256: str

    def matches(self, candidate: str) -> bool:
        """Return whether a stored id is the one meant."""
        return hashlib.sha256(text_bytes(candidate)).hexdigest() == self.sha256


RowId: TypeAlias = str | HashedId


def to_address(value: str | HashedId) -> str:
    """Return the part of a URL that names an id."""
    if isinstance(value, HashedId):
        return f"~~{_encode(text_bytes(value.prefix))}~{value.sha256}"
    if isinstance(value, StoredBlob):
        return f"~!{_encode(value.raw)}"
    if _TAME.fullmatch(value) and value not in RESERVED:
        return value
    raw = text_bytes(value)
    if len(raw) > LONG_BYTES:
        return to_address(HashedId(value[:PREFIX_CHARACTERS], hashlib.sha256(raw).hexdigest()))
    return f"~{_encode(raw)}"


def from_address(address: str) -> RowId:
    """Decode the id in a part of a URL. Raises ValueError if it is not the canonical address of an id."""
    row_id = _named(address)
    if to_address(row_id) != address:
        raise ValueError(address)
    return row_id


def _named(address: str) -> RowId:
    if not address.startswith("~"):
        return address
    if address.startswith("~~"):
        prefix, _, digest = address[2:].partition("~")
        return HashedId(_decode(prefix).decode("utf-8", "surrogateescape"), digest)
    if address.startswith("~!"):
        return StoredBlob(_decode(address[2:]))
    return _decode(address[1:]).decode("utf-8", "surrogateescape")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error


def url_of(view: str, row_id: RowId | int) -> str:
    """Return the URL of the view of a row.

    Pages have hundreds of such links: Django's `reverse` is asked once for each view, since addresses need no quoting.
    """
    before, after = _url_around(view, get_script_prefix())
    return f"{before}{row_id if isinstance(row_id, int) else to_address(row_id)}{after}"


@functools.cache
def _url_around(view: str, _script_prefix: str) -> tuple[str, str]:
    """Return what stands before and after the address in the URLs of a view."""
    before, _, after = reverse(view, args=[_PLACEHOLDER]).rpartition(_PLACEHOLDER)
    return before, after


class RowIdConverter:
    """Django's path converter for `<id:…>`."""

    regex = ADDRESS

    def to_python(self, value: str) -> RowId:
        return from_address(value)

    def to_url(self, value: RowId) -> str:
        return to_address(value)
