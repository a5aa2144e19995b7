"""The manifest of a backup: what it holds, as JSON that a person can read and `sha256sum` can confirm.

It ends with its own SHA-256, so that a damaged one is known as such.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from statestore.backups.contents import Contents, TableContents
from statestore.errors import DatabaseError

NAME: Final = "manifest.json"
FORMAT: Final = 2
_MOST_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One database in a backup. `bytes` and `sha256` are the file's as it lies there; `unpacked_bytes` without zstd.

    `compared` says whether its contents were compared with those of the database, read in one snapshot with the copy.
    """

    name: str
    database: str
    kind: str
    source: str
    taken_at: str
    seconds: float
    bytes: int
    unpacked_bytes: int
    sha256: str
    compared: bool
    contents: Contents = field(default_factory=dict)

    @property
    def is_packed(self) -> bool:
        return self.name.endswith(".zst")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    made_at: str
    files: tuple[BackupFile, ...]

    def file_of(self, database: str) -> BackupFile | None:
        """Return the file of a database, `store` or `dashboard`; one that holds both serves for either."""
        named = [file for file in self.files if file.database in {database, "both"}]
        return named[0] if named else None


def write(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a backup into its directory, and sync it."""
    body = {"format": FORMAT, "made_at": manifest.made_at, "files": [asdict(file) for file in manifest.files]}
    text = json.dumps({**body, "sha256": _digest(body)}, indent=2)
    path = directory / NAME
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(directory: Path) -> Manifest:
    """Return the manifest of a backup. Raises DatabaseError if it is missing or damaged, naming it."""
    path = directory / NAME
    try:
        with path.open("rb") as file:
            body = json.loads(file.read(_MOST_BYTES))
        is_whole = isinstance(body, dict) and body.pop("sha256", None) == _digest(body)
        if is_whole and body["format"] == FORMAT:
            return Manifest(body["made_at"], tuple(_file(entry) for entry in body["files"]))
    except OSError as error:
        raise DatabaseError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, KeyError, TypeError):
        is_whole = False
    if is_whole:
        raise DatabaseError(f"{path} was made by a newer release. Use that release.")
    raise DatabaseError(f"{path} is damaged. Use another backup.")


def _file(entry: dict[str, Any]) -> BackupFile:
    contents = {name: TableContents(**table) for name, table in entry.pop("contents").items()}
    file = BackupFile(**entry, contents=contents)
    if os.sep in file.name or file.name in {"", ".", "..", NAME}:
        raise ValueError(file.name)
    return file


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
