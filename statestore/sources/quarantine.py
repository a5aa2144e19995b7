"""Uploaded files: kept under names of our own, which no user chose, and opened as hostile as any other."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from django.conf import settings

from descartes_site.locations import COMMAND
from statestore.access.audit import Actor
from statestore.errors import StateStoreError, ValidationError
from statestore.models.sources import Source
from statestore.sources import adding

_CHUNK_BYTES: Final = 1024 * 1024
# Of the user's name, only whether it is one of JSON lines.
_LINES: Final = (".jsonl", ".ndjson")
_NAME_CHARACTERS: Final = 200


def limit_bytes() -> int:
    """Return how large an upload may be; 0 if none is taken."""
    return int(settings.SOURCE_UPLOAD_MB) * 1024 * 1024


def too_large() -> ValidationError:
    """Return the refusal of a file that is too large."""
    return ValidationError(
        f"The file is larger than {settings.SOURCE_UPLOAD_MB} MB, the most that is taken. Nothing was kept. On this"
        f" machine, `{COMMAND} open FILE` reads it where it is; SOURCE_UPLOAD_MB sets the limit."
    )


def refuse_uploads() -> None:
    """Raise ValidationError if no uploads are taken, Conflict if nothing can be mirrored here."""
    adding.refuse_foreign_store()
    if not limit_bytes():
        raise ValidationError("Uploads are switched off here: SOURCE_UPLOAD_MB is 0. Nothing was kept.")


def receive(read: Callable[[int], bytes], name: str, *, using: str, by: Actor) -> Source:
    """Keep an uploaded file, and return its source, which is mirrored once.

    Raises ValidationError, with nothing kept, if it is too large, of no known format, damaged, or if the disk is full.
    """
    refuse_uploads()
    name = name[-_NAME_CHARACTERS:] or "upload"
    folder = directory() / secrets.token_hex(16)
    try:
        folder.mkdir(mode=0o700)
        path = folder / ("upload.jsonl" if name.lower().endswith(_LINES) else "upload")
        _write(read, path)
        return adding.add_source(path, name=Path(name).stem, using=using, by=by, upload_name=name)
    except OSError as error:
        _remove(folder)
        raise ValidationError(f"The file cannot be kept: {error.strerror}. Nothing was kept.") from error
    except StateStoreError as error:
        _remove(folder)
        if isinstance(error, ValidationError):
            raise ValidationError(str(error).replace("It was not changed.", "Nothing was kept.")) from None
        raise
    except BaseException:
        _remove(folder)
        raise


def nameless_file() -> IO[bytes]:
    """Return a file that is on the disk of the uploads and in no directory: it is gone once it is closed."""
    return tempfile.TemporaryFile(dir=directory())


def discard(path: Path) -> None:
    """Delete the copy of an upload; what lies anywhere else stays."""
    if path.parent.parent == directory():
        _remove(path.parent)


def directory() -> Path:
    """Return the directory of uploads, which is made if there is none."""
    found = Path(settings.VAR_DIR).resolve() / "uploads"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def _write(read: Callable[[int], bytes], path: Path) -> None:
    left = limit_bytes()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise too_large()
            file.write(chunk)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
