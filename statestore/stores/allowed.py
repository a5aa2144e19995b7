"""The directories of STORE_DIRS, from which administrators add stores: what is in them, and nothing beside them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from statestore.adoption import schema_detection
from statestore.db import served
from statestore.errors import Forbidden, StateStoreError, ValidationError
from statestore.sources import files
from statestore.sources.allowed import MOST_ENTRIES, files_below
from statestore.sources.contract import Value
from statestore.sources.documents import DocumentFile

# So much of what is in the directories is listed, the newest first.
MOST_LISTED: Final = 50
# A page waits no longer for files to be recognised; they are known by the next one.
_SECONDS: Final = 1.5
# A larger file that a crash left a log beside would be copied to be looked at.
_COPIED_BYTES: Final = 64 * 1024 * 1024
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that can be added: a store, or an orchestrator's file that is not adopted yet."""

    path: str
    is_adopted: bool
    bytes: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found. `is_partial`: there was more than is looked at, or listed, at once."""

    files: list[Candidate]
    is_partial: bool


def listing() -> Listing:
    """Return the stores in the directories that are not served yet, the newest first."""
    taken = served.taken_places()
    entries = list(files_below(served.directories(), but=_SIDE_FILES))
    found: list[Candidate] = []
    ends = time.monotonic() + _SECONDS
    for path, status in sorted(entries, key=lambda entry: entry[1].st_mtime, reverse=True):
        if len(found) >= MOST_LISTED or time.monotonic() > ends:
            return Listing(found, is_partial=True)
        # A file that is served must not be opened here: to close it would drop the locks of its connections.
        if str(path) in taken or (status.st_dev, status.st_ino) in taken:
            continue
        is_adopted = _recognised(str(path), status.st_ino, status.st_size, status.st_mtime_ns)
        if is_adopted is not None:
            found.append(Candidate(str(path), is_adopted, status.st_size, int(status.st_mtime)))
    return Listing(found, is_partial=len(entries) >= MOST_ENTRIES)


def checked(text: str) -> Path:
    """Return the path of a file that may be added. Raises Forbidden, or ValidationError for what is no store."""
    path = Path(text)
    if "\0" in text or not path.is_absolute() or not served.is_allowed(path):
        raise Forbidden(
            "This file is in none of the directories that STORE_DIRS names, or a link is in its path. Nothing was read."
            " Choose one of the list, or name it in STORES."
        )
    if (other := _taken_by(path)) is not None:
        raise ValidationError(f"{path} is the file of {other} already. Nothing was changed.", field="path")
    _look(path)
    return path


def _taken_by(path: Path) -> str | None:
    taken = served.taken_places()
    return next((taken[place] for place in served.places_of(str(path)) if place in taken), None)


@lru_cache(maxsize=2_000)
def _recognised(path: str, inode: int, size: int, changed: int) -> bool | None:
    """Return whether a store is adopted, None for a file that is none. Kept for as long as the file is the same."""
    try:
        return _look(Path(path))
    except (StateStoreError, OSError):
        return None


def _look(path: Path) -> bool:
    """Return whether a store is adopted. Raises ValidationError, in words, for another program's file."""
    if files.is_copied_to_be_read(path) and path.stat().st_size > _COPIED_BYTES:
        raise ValidationError(
            f"{path} was left by a crash in the middle of a write. Start its orchestrator, which mends it first.",
            field="path",
        )
    with files.opened(path) as rows:
        if isinstance(rows, DocumentFile):
            raise ValidationError(f"{path} is JSON, not a store. Nothing was changed.", field="path")
        schema = _Schema(rows)
        objects = schema_detection.read_objects(schema)
        if schema_detection.applied_migrations(schema, objects):
            return True
        found = schema_detection.recognise(schema, objects)
    if found.differences:
        raise ValidationError(
            f"{path} is {found.layout}: {'; '.join(found.differences)}. Nothing was changed.", field="path"
        )
    return False


class _Schema:
    """A file that is read, as the detection of schemas asks for it."""

    def __init__(self, rows: files.SourceFile) -> None:
        self._rows = rows

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> "_Answer":
        return _Answer(self._rows.execute(sql, values))


class _Answer:
    def __init__(self, rows: Iterator[tuple[Value, ...]]) -> None:
        self._rows = rows

    def fetchall(self) -> list[tuple[Value, ...]]:
        return list(self._rows)
