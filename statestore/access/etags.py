"""Whether a row is still the one that somebody saw, told by its etag."""

from typing import Any, Final

from statestore import models
from statestore.errors import Moved

# Whatever the row is, as long as there is one.
ANY: Final = "*"


def expect(row: Any, etag: str | None) -> None:
    """Raise Moved where a row is not the one with an etag; `row` is None where it is gone, `etag` where nobody looked.

    Call it inside the transaction that changes the row.
    """
    if etag is None or (etag == ANY and row is not None):
        return
    present = "" if row is None else models.row_hash(row)
    if present != etag:
        what = "is gone" if row is None else "has changed"
        raise Moved(f"What you saw {what} since. Nothing was changed; read it again.", present)
