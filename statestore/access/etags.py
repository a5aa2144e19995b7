"""Optimistic locking by ETag: the only place that compares one."""

from typing import Any, Final

from statestore import models
from statestore.errors import Moved

# Matches any version of an existing row.
ANY: Final = "*"


def expect(row: Any, etag: str | None, message: str = "") -> None:
    """Raise Moved unless a row has an ETag. `row` is None if it is gone; `etag` None expects nothing.

    Call it inside the transaction that changes the row.
    """
    if row is None and etag is not None:
        raise Moved(message or "The row was deleted since you read it. Nothing was changed. Read it again.")
    if etag not in (None, ANY):
        expect_etag(models.row_hash(row), etag, message)


def expect_etag(present: str, etag: str | None, message: str = "") -> None:
    """Raise Moved, with the present ETag, unless it is the expected one; for resources of more than one row."""
    if etag not in (None, ANY, present):
        raise Moved(message or "The row has changed since you read it. Nothing was changed. Read it again.", present)
