"""Every failure that is raised on purpose. Each message says what happened, what was not changed, and what to do."""


class StateStoreError(Exception):
    """Any failure of the state store."""


class DatabaseError(StateStoreError):
    """The database could not do it: disk full, damaged file, lost connection."""


class Unavailable(DatabaseError):
    """The database cannot be used as things are: its disk is full or failing, or its server does not answer."""


class MigrationError(StateStoreError):
    """The store's schema is missing, older than needed, or not one that is known."""


class NotFound(StateStoreError):
    """The named row does not exist, or not in this namespace."""


class Conflict(StateStoreError):
    """The row is not what the caller saw: somebody changed it in between."""


class Moved(Conflict):
    """The row is not the one that the caller saw, or that a restore was planned against. `etag`: what it is now."""

    def __init__(self, message: str, etag: str = "") -> None:
        super().__init__(message)
        self.etag = etag


class NeedsApproval(Conflict):
    """A second person has to approve this first."""


class Forbidden(StateStoreError):
    """The caller may not do this, or not to this row."""


class SerializationError(StateStoreError):
    """A value cannot be written as JSON, or cannot be held by this database."""


class ValidationError(StateStoreError):
    """A value is outside of what the column means. `field`: the name of what was asked for, where it is one thing."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ReadOnly(StateStoreError):
    """The store's file or directory cannot be written by this process."""


class TooSlow(StateStoreError):
    """The database did not answer in the time that a question may take."""


class Busy(StateStoreError):
    """Another program held the write lock for longer than this one may wait; nothing was changed."""
