"""Paths in which no link is followed: other users of a folder must not lead a file that was added elsewhere.

Links are resolved once, when a source is added. From then on each part of its path is opened by itself.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from descartes_site.locations import COMMAND
from statestore.errors import ValidationError

# To step through a folder, no right to list it is needed.
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe would keep its reader waiting.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
# What the system says of a link that is not to be followed.
_IS_LINK: Final = {errno.ELOOP, errno.ENOTDIR}
_DESCRIPTORS: Final = Path("/proc/self/fd")
# To close a file of a process ends all locks that it has there, those of SQLite too: nothing of a source is opened
# beside SQLite while this process writes one, and no two threads open one at a time.
opening: Final = threading.RLock()

# The device and the inode of a file, which stay when it is renamed.
Identity = tuple[int, int]


def opened(path: Path, flags: int = _FILE) -> int:
    """Return a descriptor of a file, for reading. Raises ValidationError if a link is in its path, OSError else."""
    at = os.open("/", _FOLDER)
    try:
        for number, part in enumerate(path.parts[1:-1], 2):
            with _explained(Path(*path.parts[:number]), path):
                inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        with _explained(path, path):
            return os.open(path.name, flags, dir_fd=at)
    finally:
        os.close(at)


def folder(path: Path) -> int:
    """Return a descriptor of a folder, as `opened` does of a file."""
    return opened(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def file_in(at: int, name: str) -> int:
    """Return a descriptor of a file in an opened folder. Raises OSError, also for a link."""
    return os.open(name, _FILE, dir_fd=at)


@contextmanager
def unchanged_meanwhile(path: Path) -> Iterator[None]:
    """Let the block open a file by its path, and raise ValidationError if what it opened is another file than that.

    SQLite follows links, and asks for a name; the name may lead elsewhere for only as long as that takes.
    """
    with opening:
        descriptor = opened(path)
        try:
            wanted, before = _identity(os.fstat(descriptor)), _open_files()
            yield
            if not _has_opened(wanted, before) or _identity(path.lstat()) != wanted:
                raise ValidationError(f"{path} was replaced while it was opened. Nothing was read. It is tried again.")
        finally:
            os.close(descriptor)


def _has_opened(wanted: Identity, before: dict[str, Identity]) -> bool:
    """Return whether a file was opened since, where the system tells.

    Other threads open files of other kinds. SQLite may take a descriptor again that it had not closed yet.
    """
    new = [found for number, found in _open_files().items() if before.get(number) != found]
    return wanted in new or not new


def _open_files() -> dict[str, Identity]:
    """Return the regular files that are open in this process."""
    found: dict[str, Identity] = {}
    try:
        numbers = os.listdir(_DESCRIPTORS)
    except OSError:
        return found
    for number in numbers:
        try:
            status = os.fstat(int(number))
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found[number] = _identity(status)
    return found


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


@contextmanager
def _explained(part: Path, path: Path) -> Iterator[None]:
    """Turn the system's refusal to follow a link into words."""
    try:
        yield
    except OSError as error:
        if error.errno in _IS_LINK and part.is_symlink():
            raise ValidationError(
                f"{part} is a link now, which is not followed: it may lead to a file that was not chosen. Put the file"
                f" back at {path}, or remove this source and add the file where it is: `{COMMAND} open FILE`."
                " Nothing was read."
            ) from None
        raise
