"""What administrators mirror on pages: files in SOURCE_DIRS, and databases on SOURCE_SERVERS."""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

from descartes_site.locations import COMMAND
from statestore.access.audit import Actor
from statestore.errors import Forbidden, StateStoreError, ValidationError
from statestore.models.sources import Source
from statestore.sources import adding, files, servers

# Of what is in the directories, so much is looked at, and so much of it listed, the newest first.
MOST_ENTRIES: Final = 5_000
MOST_LISTED: Final = 50
_DEPTH: Final = 2
# A page waits no longer for files to be recognised; it is known by the next one.
_SECONDS: Final = 1.5
# Larger documents are recognised when they are mirrored.
_READ_BYTES: Final = 16 * 1024 * 1024
_PORT: Final = "5432"
# Others name files, services or other hosts.
_PARAMETERS: Final = frozenset({"user", "password", "host", "port", "dbname", "sslmode", "options"})
_SIDE_FILES: Final = ("-wal", "-shm", "-journal", ".md", ".py", ".txt", ".log")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that can be mirrored. `formats` is what it holds, "" if that was not looked into."""

    path: str
    formats: str
    bytes: int
    changed_at: int
    is_being_written: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found. `is_partial`: there was more than is looked at, or listed, at once."""

    files: list[Found]
    is_partial: bool


def directories() -> list[Path]:
    """Return the directories, as they really are; those that are not there are left out."""
    return [path.resolve() for path in map(Path, settings.SOURCE_DIRS) if path.is_absolute() and path.is_dir()]


def listing(using: str) -> Listing:
    """Return the files that a reader recognises and that are not mirrored yet, the newest first."""
    known = set(Source.objects.using(using).values_list("path", flat=True))
    entries = list(files_below(directories(), but=_SIDE_FILES))
    newest = sorted(entries, key=lambda entry: entry[1].st_mtime, reverse=True)
    found: list[Found] = []
    ends = time.monotonic() + _SECONDS
    for path, status in newest:
        if len(found) >= MOST_LISTED or time.monotonic() > ends:
            return Listing(found, is_partial=True)
        if str(path) in known:
            continue
        formats = _formats(path, status)
        if formats is not None:
            written = files.is_being_written(path)
            found.append(Found(str(path), formats, status.st_size, int(status.st_mtime), written))
    return Listing(found, is_partial=len(entries) >= MOST_ENTRIES)


def mirror(text: str, *, using: str, by: Actor) -> Source:
    """Mirror a file of one of the directories, or a database of one of the servers, and return its source.

    Raises Forbidden for any other.
    """
    check(text)
    return adding.add_source(text if servers.is_address(text) else _allowed(text), using=using, by=by)


def check(text: str) -> None:
    """Raise Forbidden for what may not be mirrored on pages, and ValidationError for a database that is no source.

    Called before a transaction: a server may take seconds to answer.
    """
    if not servers.is_address(text):
        _allowed(text)
        return
    parameters = servers.parameters_of(text)
    # A name without a port allows PostgreSQL's own.
    named = {place if ":" in place else f"{place}:{_PORT}" for place in settings.SOURCE_SERVERS}
    if f"{parameters.get('host', '')}:{parameters.get('port') or _PORT}" not in named:
        raise Forbidden(
            "This database is on none of the servers that SOURCE_SERVERS names. Nothing was read. Name one of them, or"
            f" run `{COMMAND} open URL` on this machine."
        )
    if others := parameters.keys() - _PARAMETERS:
        raise ValidationError(
            f"A URL on this page has no {min(others)}: it would name files of the server's. Nothing was read."
        )


def _allowed(text: str) -> Path:
    path = Path(text)
    try:
        real = path.resolve(strict=True) if path.is_absolute() and "\0" not in text else None
    except (OSError, RuntimeError):
        real = None
    if real is None or not any(real.is_relative_to(directory) and real != directory for directory in directories()):
        raise Forbidden(
            "This file is in none of the directories that SOURCE_DIRS names. Nothing was read. Choose one of the list,"
            f" or run `{COMMAND} open FILE` on this machine."
        )
    return real


def files_below(places: Iterable[Path], *, but: tuple[str, ...]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files that lie in some directories, at most MOST_ENTRIES, but those whose names end so.

    Links are left out: they may lead anywhere.
    """
    left = MOST_ENTRIES
    for directory in places:
        for folder, folders, names in os.walk(directory):
            depth = len(Path(folder).relative_to(directory).parts)
            folders[:] = sorted(folders) if depth < _DEPTH else []
            for name in names:
                left -= 1
                if left < 0:
                    return
                path = Path(folder) / name
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode) and not name.endswith(but):
                    yield path, status


def _formats(path: Path, status: os.stat_result) -> str | None:
    """Return what a file holds, as its readers call it; "" if that takes too long to say, None if it is nothing."""
    return _recognised(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2_000)
def _recognised(path: str, inode: int, size: int, changed: int) -> str | None:
    place = Path(path)
    try:
        if size > _READ_BYTES and (files.kind_of(place) == "JSON" or files.is_copied_to_be_read(place)):
            return ""
        with files.opened(place) as rows:
            return ", ".join(reader.name for reader in files.readers_of(rows, place).values())
    except (StateStoreError, OSError):
        return None
