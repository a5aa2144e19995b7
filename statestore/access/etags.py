"""Optimistic locking by ETag: the only place that compares one."""

import re
from typing import Final

from django.db.models import Model

from statestore import models
from statestore.errors import Moved

# Matches any version of an existing row.
ANY: Final = "*"
# What a proxy that compresses makes of our ETag: a weak one (nginx), or one with a suffix (Apache, Caddy).
_CHANGED_BY_PROXY: Final = re.compile(r'(?:W/)?"([0-9a-f]{64})(?:[-;](?:gzip|br|zstd|deflate))?"')


def from_header(tag: str) -> str:
    """Return the ETag that a header's tag stands for: ours, also as a proxy on the way has changed it.

    A weak ETag does not promise the same bytes. Ours need not: it is a hash of the row, the same for each encoding.
    """
    if ours := _CHANGED_BY_PROXY.fullmatch(tag):
        return ours[1]
    unquoted = tag.removeprefix('"').removesuffix('"')
    return tag if unquoted == ANY else unquoted  # In quotes, the star is a tag like others.


def expect(row: Model | None, etag: str | None, message: str = "") -> None:
    """Raise Moved unless a row has an ETag. `row` is None if it is gone; `etag` None expects nothing.

    Call it inside the transaction that changes the row.
    """
    if etag is None:
        return
    if row is None:
        raise Moved(message or "The row was deleted since you read it. Nothing was changed. Read it again.")
    if etag != ANY:
        expect_etag(models.row_hash(row), etag, message)


def expect_etag(present: str, etag: str | None, message: str = "") -> None:
    """Raise Moved, with the present ETag, unless it is the expected one; for resources of more than one row."""
    if etag not in (None, ANY, present):
        raise Moved(message or "The row has changed since you read it. Nothing was changed. Read it again.", present)
