"""The drivers' errors, translated into this project's, each with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.utils import DatabaseError as DjangoDatabaseError
from django.db.utils import DataError, OperationalError

from statestore.errors import Busy, DatabaseError, ReadOnly, StateStoreError, TooSlow, Unavailable

BUSY = "Another program is writing to the store and did not finish in time. Nothing was changed. Try again."
# What SQLite and PostgreSQL say of a disk or a server, as opposed to a statement, that they cannot work with.
_OUT_OF_ORDER = ("disk i/o error", "unable to open", "malformed", "not a database", "connection", "shutting down")


class FileMissing(OperationalError):
    """The file of an SQLite database does not exist; SQLite would create an empty one."""

    def __init__(self, path: str | None) -> None:
        super().__init__(
            f"{path} does not exist. Nothing was changed. Put the file back: the dashboard then goes on by itself."
        )


class FileReplaced(OperationalError):
    """The file of an SQLite database was replaced or moved while something was saved into it."""

    def __init__(self, path: str | None) -> None:
        super().__init__(
            f"{path} was replaced or moved while this was saved. What was saved may be missing from the present file."
            " Look at it, then try again."
        )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors inside the block into this project's, each with what to do."""
    try:
        yield
    except StateStoreError:
        raise
    except DjangoDatabaseError as error:
        raise translate(error) from error


def translate(error: DjangoDatabaseError) -> StateStoreError:
    """Return the domain's error for one of the driver's."""
    if isinstance(error, FileMissing | FileReplaced):
        return Unavailable(str(error))
    text = str(error).lower()
    if "statement timeout" in text:
        return TooSlow("The database did not answer in time. Request less data or a shorter time range.")
    if isinstance(error, OperationalError | DjangoDatabaseError) and ("locked" in text or "lock timeout" in text):
        return Busy(BUSY)
    if "readonly" in text or "read-only" in text:
        return ReadOnly("The store's file or directory is read-only. Nothing was changed.")
    if "disk is full" in text or "no space" in text:
        return Unavailable("The store's disk is full. Nothing was changed. Free some space and try again.")
    if any(words in text for words in _OUT_OF_ORDER):
        return Unavailable(f"The store is not usable: {error}. Nothing was changed. Run `manage.py doctor`.")
    if isinstance(error, DataError):
        return DatabaseError("A value is out of range for its column. Nothing was changed.")
    return DatabaseError(f"Database error: {error}. Nothing was changed.")
