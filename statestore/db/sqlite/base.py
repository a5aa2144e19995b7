"""Django's SQLite backend, which notices that a file was moved, replaced or deleted while it is open."""

import errno
import logging
import os
import sqlite3
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db.backends.sqlite3 import base, features

from statestore.db.errors import FileClosed, FileIsLink, FileMissing, FileReplaced, NamedErrors
from statestore.db.private_files import keep_private, make_private

log = logging.getLogger(__name__)

# Device and inode: another file under the same name has another one for as long as ours is open.
Identity = tuple[int, int]


def identity_of(path: str) -> Identity | None:
    """Return the identity of the file that a path names now, or None if there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def is_out_of_reach(path: str) -> bool:
    """Return whether this process may not even ask whether a file exists."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.EACCES
    return False


@lru_cache(maxsize=256)
def _with_question_marks(query: str) -> str:
    return str(base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%"))


class Cursor(base.SQLiteCursorWrapper):
    """Django's cursor, which rewrites the places of a statement's parameters once and not at each execution."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        if param_names is None:
            return _with_question_marks(query)
        return str(super().convert_query(query, param_names=param_names))


class DatabaseFeatures(features.DatabaseFeatures):
    """What the database can do. Django would ask the file, which the checks ahead of its first `migrate` must not."""

    supports_json_field = True


class DatabaseWrapper(NamedErrors, base.DatabaseWrapper):
    """A connection to the file that its path names now.

    SQLite goes on with the file that it opened, whatever its name refers to later: what is committed then is lost. So
    the file is looked at before each statement and transaction, and again after each commit.
    """

    features_class = DatabaseFeatures
    opened: Identity | None = None
    opened_log: Identity | None = None
    # The names of the open file and of its log, None of a database in memory.
    opened_path: str | None = None
    opened_log_path = ""
    # While a transaction begins or has ended: the file is looked at right before, and after BEGIN and COMMIT.
    is_switching = False
    # `migrate` alone may create the file: SQLite would make an empty one at the first question.
    may_create = False

    @property
    def path(self) -> str | None:
        """The path of the file, or None of a database in memory."""
        name = str(self.settings_dict["NAME"])
        return None if name.startswith("file:") or name in {"", ":memory:"} else name

    def prepare_database(self) -> None:
        """Let the connection create the file: Django is about to migrate it."""
        self.may_create = True
        if self.path is not None and Path(self.path).parent == settings.VAR_DIR:
            with suppress(OSError):  # Opening the file fails then, in words.
                settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().prepare_database()

    def get_new_connection(self, conn_params: dict[str, object]) -> sqlite3.Connection:
        """Open the file, and note which one it was."""
        while True:
            found = None if self.path is None else identity_of(self.path)
            if self.path is not None and found is None and not self.may_create:
                raise FileClosed(self.path) if is_out_of_reach(self.path) else FileMissing(self.path)
            self._refuse_links()
            self._keep_private(found)
            connection = self._opened(conn_params)
            self._refuse_links()
            self.opened_path, self.opened_log_path = self.path, f"{self.path}-wal"
            self.opened = None if self.path is None else identity_of(self.path)
            self.opened_log = None
            if found is None or found == self.opened:
                return connection
            connection.close()  # Replaced in between.

    def _refuse_links(self) -> None:
        """Raise FileIsLink where a path was allowed as it is, and leads elsewhere now: SQLite would follow it."""
        if self.settings_dict.get("FOLLOWS_NO_LINKS") and os.path.realpath(str(self.path)) != self.path:
            raise FileIsLink(self.path)

    def _opened(self, conn_params: dict[str, object]) -> sqlite3.Connection:
        try:
            connection: sqlite3.Connection = super().get_new_connection(conn_params)
            return connection
        except sqlite3.OperationalError as error:
            if "unable to open" in str(error) and self.path is not None and not os.path.isdir(self.path):
                raise FileClosed(self.path) from error
            raise

    def _keep_private(self, found: Identity | None) -> None:
        """Let others read neither the file that holds our users, nor a store that we make; never touch another one."""
        if self.path is None:
            return
        if found is None and (self.alias == "default" or settings.STORE_IS_EMBEDDED):
            make_private(self.path)
        if self.alias == "default":
            keep_private(self.path)

    def ensure_connection(self) -> None:
        """Connect to the file that is there now, unless a transaction is under way: its commit will say so."""
        if not self.is_switching:
            self._leave_replaced()
        super().ensure_connection()

    def close_if_unusable_or_obsolete(self) -> None:
        """Leave a file that was replaced, at the beginning of a request too: a missing one is then no error yet."""
        self._leave_replaced()
        super().close_if_unusable_or_obsolete()

    def _leave_replaced(self) -> None:
        if self.connection is not None and not self.in_atomic_block and self.is_replaced():
            self._leave()

    def is_replaced(self) -> bool:
        """Return whether the path names another file than the one that is open, or none."""
        if self.opened is None or self.opened_path is None:
            return False
        if identity_of(self.opened_path) != self.opened:
            return True
        # While we have the file open, no other program takes its write-ahead log away in good order.
        present = identity_of(self.opened_log_path)
        if self.opened_log is None:
            self.opened_log = present
        return present != self.opened_log

    def _leave(self) -> None:
        log.warning("%s was replaced or moved. Its connections are opened again.", self.path)
        self.close()

    def create_cursor(self, name: str | None = None) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.connection.cursor(factory=Cursor)
        return cursor

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Begin or end a transaction, without three more looks at the file within as many microseconds."""
        self.is_switching = self.connection is not None
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        finally:
            self.is_switching = False

    def _start_transaction_under_autocommit(self) -> None:
        super()._start_transaction_under_autocommit()  # type: ignore[misc]
        while self.is_replaced():  # While this waited for the lock of the file that was open.
            self._leave()
            self.connect()
            super()._start_transaction_under_autocommit()  # type: ignore[misc]

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        if self.is_replaced():
            raise FileReplaced(self.path)
