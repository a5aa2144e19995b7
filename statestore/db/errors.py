"""The drivers' errors, translated into this project's, each with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseErrorWrapper, DataError, Error, OperationalError
from django.utils.functional import cached_property

from descartes_site.locations import COMMAND
from statestore.db import damage
from statestore.db.routers import is_store, store_alias
from statestore.errors import Busy, DatabaseError, MigrationError, ReadOnly, StateStoreError, TooSlow, Unavailable

_BUSY: Final = "Another program is writing to {name} and did not finish in time. Nothing was changed. Try again."
BUSY: Final = _BUSY.format(name="the store")


class NamedErrors(BaseDatabaseWrapper):
    """A database whose errors say which one it is: `alias`."""

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """The context manager that turns the driver's errors into Django's."""
        return _NamedErrorWrapper(self)


class _NamedErrorWrapper(DatabaseErrorWrapper):
    def __exit__(self, *raised: Any) -> None:
        try:
            super().__exit__(*raised)
        except Error as error:
            error.alias = self.wrapper.alias  # type: ignore[attr-defined]
            raise


class FileMissing(OperationalError):
    """The file of an SQLite database does not exist; SQLite would create an empty one."""

    def __init__(self, path: str | None) -> None:
        super().__init__(
            f"{path} does not exist. Nothing was changed. Put the file back: the dashboard then goes on by itself."
        )


class FileClosed(OperationalError):
    """The file of an SQLite database may not be opened by this process, or not be created."""

    def __init__(self, path: str | None) -> None:
        super().__init__(
            f"{path} cannot be opened by this user. Nothing was changed. Let it read and write the file and its"
            " directory."
        )


class FileIsLink(OperationalError):
    """The path of a store that was added on a page leads through a link: its file may be one that no one chose."""

    def __init__(self, path: str | None) -> None:
        super().__init__(
            f"{path}, or a folder of its path, is a link now, which is not followed. Nothing was changed. Put the file"
            " back in its place, or remove the store and add the file where it is."
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
    except Error as error:
        raise translate(error) from error


def translate(error: Error) -> StateStoreError:
    """Return the domain's error for one of the driver's."""
    if isinstance(error, FileMissing | FileClosed | FileIsLink | FileReplaced):
        return Unavailable(str(error))
    text = str(error).lower()
    for words, kind, message in _FAILURES:
        if any(word in text for word in words):
            name, detail = _name(error), str(error).strip().rstrip(".")
            said = message.format(name=name, Name=name[0].upper() + name[1:], error=detail)
            if words is _DAMAGED:
                damage.note(getattr(error, "alias", "") or store_alias(), said)
            return kind(said)
    if isinstance(error, DataError):
        return DatabaseError("A value is out of range for its column. Nothing was changed.")
    return DatabaseError(f"Database error: {error}. Nothing was changed.")


_DAMAGED: Final = ("malformed", "not a database", "invalid page", "could not read block")
# What SQLite and PostgreSQL say of a disk, a server or a schema, as opposed to a statement. The first that fits counts.
_FAILURES: Final[tuple[tuple[tuple[str, ...], type[StateStoreError], str], ...]] = (
    (
        ("statement timeout",),
        TooSlow,
        "The database did not answer in time. Request less data or a shorter time range.",
    ),
    (
        ("conflict with recovery",),
        Busy,
        "The replica took back rows that were being read. Nothing was changed. Try again.",
    ),
    (("locked", "lock timeout"), Busy, _BUSY),
    (
        ("read-only transaction", "recovery is in progress", "hot standby"),
        ReadOnly,
        "{Name} is read-only: its server takes no writes now. Nothing was changed. Name a server that does.",
    ),
    (("readonly", "read-only"), ReadOnly, "{Name} is read-only: its file or directory. Nothing was changed."),
    (
        ("disk is full", "no space", "disk full"),
        Unavailable,
        "The disk of {name} is full. Nothing was changed. Free some space on it and try again.",
    ),
    (
        _DAMAGED,
        Unavailable,
        f"{{Name}} is damaged: {{error}}. Nothing was changed. Run `{COMMAND} doctor`, then put a backup in its place.",
    ),
    (
        ("connection", "shutting down", "starting up", "recovery mode", "too many clients"),
        Unavailable,
        "{Name} cannot be reached: {error}. Nothing was changed. Once its server answers, all goes on by itself.",
    ),
    (
        ("no such table", "no such column", "has no column named", " does not exist"),
        MigrationError,
        f"{{Name}} has another schema than before: {{error}}. Nothing was changed. Run `{COMMAND} doctor`.",
    ),
    (
        ("disk i/o error", "unable to open"),
        Unavailable,
        f"{{Name}} is not usable: {{error}}. Nothing was changed. Run `{COMMAND} doctor`.",
    ),
)


def _name(error: Error) -> str:
    """Return which database an error is about."""
    alias = getattr(error, "alias", "")
    is_own = alias == "default" and not is_store(alias)
    return "the dashboard's own database" if is_own else "the store"
