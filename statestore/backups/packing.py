"""Files compressed by zstd, and unpacked no further than they say they are long."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from statestore.backups import sqlite_copy
from statestore.errors import DatabaseError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX: Final = ".zst"
_PIECE_BYTES: Final = 1024 * 1024


def packed(path: Path) -> Path:
    """Replace a file by its compressed form, and return that."""
    target = path.with_name(path.name + SUFFIX)
    with (
        path.open("rb") as plain,
        os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,
        zstd.ZstdFile(file, "wb") as compressed,
    ):
        shutil.copyfileobj(plain, compressed, _PIECE_BYTES)
    sqlite_copy.sync(target)
    path.unlink()
    return target


def unpack(path: Path, target: Path, *, size: int) -> None:
    """Write the contents of a file into an existing one. Raises DatabaseError if they are damaged or not so long."""
    left = size
    try:
        with zstd.ZstdFile(path, "rb") as compressed, target.open("wb") as plain:
            while piece := compressed.read(min(_PIECE_BYTES, left + 1)):
                left -= len(piece)
                if left < 0:
                    break
                plain.write(piece)
    except (zstd.ZstdError, EOFError) as error:
        raise DatabaseError(f"{path.name} is damaged: it cannot be unpacked.") from error
    if left:
        more = "more" if left < 0 else "fewer"
        raise DatabaseError(f"{path.name} is damaged: it unpacks to {more} bytes than the manifest says.")
