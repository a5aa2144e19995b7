"""Every failure that is raised on purpose. Each message says what happened, what was not changed, and what to do.

Each class carries its HTTP status and its problem type (RFC 9457), so that pages and the JSON API answer alike.
"""

from typing import ClassVar

from descartes_site.locations import COMMAND


class StateStoreError(Exception):
    """Any failure of the state store."""

    status: ClassVar[int] = 500
    problem: ClassVar[str] = "database"
    title: ClassVar[str] = "Database error"
    remedy: ClassVar[str] = "Nothing was changed. See the detail for the cause."


class DatabaseError(StateStoreError):
    """The database could not do it: disk full, damaged file, lost connection."""


class Unavailable(DatabaseError):
    """The database cannot be used as things are: its disk is full or failing, or its server does not answer."""

    status = 503
    problem = "unavailable"
    title = "Database unavailable"
    remedy = f"Run `{COMMAND} doctor` on the server."


class MigrationError(StateStoreError):
    """The store's schema is missing, older than needed, or not one that is known."""

    status, problem = Unavailable.status, Unavailable.problem
    title, remedy = Unavailable.title, Unavailable.remedy


class NotFound(StateStoreError):
    """The named row does not exist, or not in this namespace."""

    status = 404
    problem = "not-found"
    title = "Not found"
    remedy = "Check the id. In paths, use the `address` from the list."


class Conflict(StateStoreError):
    """The request conflicts with the row as it is now."""

    status = 409
    problem = "conflict"
    title = "Conflict"
    remedy = "Read the resource again and retry."


class Moved(Conflict):
    """The row has changed since the caller saw it, or since a restore was planned. `etag`: what it is now.

    A conflict; to a request with If-Match it is answered as a failed precondition (412, `moved`).
    """

    def __init__(self, message: str, etag: str = "") -> None:
        super().__init__(message)
        self.etag = etag


class NeedsApproval(Conflict):
    """A second person has to approve this first."""

    problem = "needs-approval"
    title = "Approval required"
    remedy = "Save a plan and ask another person to approve it."


class Forbidden(StateStoreError):
    """The caller may not do this, or not to this row."""

    status = 403
    problem = "forbidden"
    title = "Forbidden"
    remedy = "Use a token that has the scope and whose user has the role."


class ValidationError(StateStoreError):
    """A value is outside of what the column means. `field`: the name of what was asked for, where it is one thing."""

    status = 422
    problem = "invalid"
    title = "Invalid request"
    remedy = "Fix the listed fields and retry."

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class SerializationError(ValidationError):
    """A value cannot be written as JSON, or cannot be held by this database."""

    problem = "unstorable"
    title = "Value cannot be stored"


class ReadOnly(StateStoreError):
    """A database takes no writes: its file or directory is read-only for this process, or its server is a standby."""

    status = 503
    problem = "read-only"
    title = "Database is read-only"
    remedy = "Make the database writable for this server, or name another one."


class TooSlow(StateStoreError):
    """The database did not answer in the time that a question may take."""

    status = 503
    problem = "too-slow"
    title = "Database timeout"
    remedy = "Request less data or a shorter time range."


class Busy(StateStoreError):
    """Another program held the write lock for longer than this one may wait; nothing was changed."""

    status = 503
    problem = "busy"
    title = "Database is busy"
    remedy = "Retry after the number of seconds in Retry-After."


# One class for each problem type that the domain has.
KINDS: tuple[type[StateStoreError], ...] = (
    Forbidden, NotFound, Conflict, NeedsApproval, ValidationError, SerializationError, DatabaseError, Busy, ReadOnly,
    TooSlow, Unavailable,
)  # fmt: skip
