"""Files that hold passwords, sessions or agents' texts: for the user alone that the dashboard runs as."""

import os
from contextlib import suppress
from typing import Final

OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077


def make_private(path: str) -> None:
    """Make an empty file that only its owner may use, unless there is one.

    SQLite would make it readable for all users. A file that exists is never opened here: closing it again would drop
    the locks that SQLite holds on it in this process.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, OWNER_ONLY))


def keep_private(path: str) -> None:
    """Take a database file of ours and its logs away from others. What belongs to another user stays as it is."""
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        with suppress(OSError):
            if os.stat(name).st_mode & _OTHERS:
                os.chmod(name, OWNER_ONLY)
