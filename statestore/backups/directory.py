"""The backups in a directory: each a directory of its own, named for when it was taken."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from statestore.backups import manifest, sqlite_copy
from statestore.backups.manifest import Manifest
from statestore.errors import Conflict, DatabaseError

_NAME: Final = re.compile(r"(\d{8}-\d{6})(?:-\d{1,3})?")
_TIME: Final = "%Y%m%d-%H%M%S"
PARTIAL_SUFFIX: Final = ".partial"
_VERIFIED: Final = "verified.json"
_DRILLED: Final = "drill.json"


@dataclass(frozen=True, slots=True)
class Check:
    """When a backup was opened and compared, and what was wrong with it."""

    at: str
    problems: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of both databases in a directory."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def made_at(self) -> datetime:
        """When it was begun, as its name says."""
        match = _NAME.fullmatch(self.name)
        assert match is not None, self.name
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)

    @property
    def manifest(self) -> Manifest:
        """What it holds. Raises DatabaseError if the manifest is damaged."""
        return manifest.read(self.path)

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(entry.stat().st_size for entry in os.scandir(self.path) if entry.is_file(follow_symlinks=False))

    @property
    def verified(self) -> Check | None:
        """When it was last opened and compared, and what was found."""
        return self._check(_VERIFIED)

    @property
    def drilled(self) -> Check | None:
        """When it was last restored into a scratch file and compared, and what was found."""
        return self._check(_DRILLED)

    def _check(self, name: str) -> Check | None:
        try:
            noted = json.loads((self.path / name).read_bytes())
            return Check(str(noted["at"]), tuple(map(str, noted["problems"])))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note_verified(self, problems: list[str]) -> None:
        """Note that it was opened and compared just now."""
        self._note(_VERIFIED, problems)

    def note_drilled(self, problems: list[str]) -> None:
        """Note that it was restored into a scratch file just now."""
        self._note(_DRILLED, problems)

    def _note(self, name: str, problems: list[str]) -> None:
        text = json.dumps({"at": now_text(), "problems": problems}, indent=2) + "\n"
        unfinished = self.path / f".{name}{PARTIAL_SUFFIX}"
        # A backup on a disk that takes no writes can be verified all the same.
        with suppress(OSError):
            with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
                file.write(text)
            unfinished.replace(self.path / name)


def now_text() -> str:
    """Return the present as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def newest_first(directory: Path) -> list[Backup]:
    """Return the backups in a directory; an empty list if it does not exist."""
    try:
        entries = [entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatabaseError(f"{directory} cannot be read: {error.strerror}.") from error
    return [Backup(directory / name) for name in sorted(entries, reverse=True) if _is_name(name)]


def _is_name(name: str) -> bool:
    match = _NAME.fullmatch(name)
    try:
        return match is not None and bool(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC))
    except ValueError:
        return False


def at(path: Path) -> Backup:
    """Return the backup in a directory. Raises DatabaseError if it is none."""
    if not (path / manifest.NAME).is_file():
        raise DatabaseError(f"{path} is not a backup: it has no {manifest.NAME}.")
    return Backup(path.resolve())


@contextmanager
def being_made(directory: Path) -> Iterator[Path]:
    """Yield an empty directory for a backup, which gets its name when the block ends; after an error nothing is left.

    One process at a time makes backups in a directory. Raises Conflict while another one does, and DatabaseError.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (directory / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"Another process is making a backup in {directory}. Wait until it is done.") from None
            _remove_unfinished(directory)
            final = _free_name(directory)
            partial = directory / f".{final.name}{PARTIAL_SUFFIX}"
            partial.mkdir(mode=0o700)
            try:
                yield partial
                sqlite_copy.sync(partial)
                partial.rename(final)
                sqlite_copy.sync(directory)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DatabaseError(f"The backup into {directory} failed: {error.strerror}. Nothing was changed.") from error


def _remove_unfinished(directory: Path) -> None:
    """Remove what a process left that was killed: the lock is ours, so no other one is at work."""
    for entry in directory.glob(f".*{PARTIAL_SUFFIX}"):
        if entry.is_dir() and _is_name(entry.name[1 : -len(PARTIAL_SUFFIX)]):
            shutil.rmtree(entry, ignore_errors=True)


def _free_name(directory: Path) -> Path:
    moment = datetime.now(UTC).strftime(_TIME)
    names = (directory / f"{moment}{f'-{number}' if number else ''}" for number in range(1_000))
    return next(name for name in names if not os.path.lexists(name))


def described(backup: Backup) -> dict[str, Any]:
    """Return what lists say of a backup: name, bytes, what it holds, when it was verified."""
    try:
        held, fault = backup.manifest, ""
    except DatabaseError as error:
        held, fault = None, str(error)
    return {
        "backup": backup, "made_at": backup.made_at, "bytes": backup.bytes, "verified": backup.verified,
        "drilled": backup.drilled, "manifest": held, "fault": fault,
    }  # fmt: skip
