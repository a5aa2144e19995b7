"""Copies of backups elsewhere: in another directory, or in a bucket that speaks S3's protocol."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from statestore.backups import manifest
from statestore.backups.directory import PARTIAL_SUFFIX, Backup
from statestore.backups.verification import verify
from statestore.errors import DatabaseError

_INSTALL: Final = "Copies to a bucket need the package obstore: pip install 'descartes-statestore[copies]'."


def copy_to(backup: Backup, place: str) -> str:
    """Copy a backup to a directory or a URL such as s3://bucket/prefix, compare the copy, and return where it lies.

    It counts as a backup once its manifest is there, which is written last. Raises DatabaseError; the backup stays.
    """
    try:
        return _to_bucket(backup, place) if "://" in place else _to_directory(backup, Path(place))
    except OSError as error:
        raise DatabaseError(f"{backup.name} was not copied to {place}: {error.strerror or error}.") from error


def _to_directory(backup: Backup, directory: Path) -> str:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / backup.name
    partial = directory / f".{backup.name}{PARTIAL_SUFFIX}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(backup.path, partial)
        if problems := verify(Backup(partial)):
            raise DatabaseError(f"The copy in {directory} differs: {' '.join(problems)}")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return str(target)


def _to_bucket(backup: Backup, url: str) -> str:
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise DatabaseError(_INSTALL) from None
    try:
        store = from_url(url)
        # The manifest last: until then, the copy is none.
        for name in [*(file.name for file in backup.manifest.files), manifest.NAME]:
            path = f"{backup.name}/{name}"
            obstore.put(store, path, backup.path / name)
            if _digest(obstore.get(store, path)) != _digest_of(backup.path / name):
                raise DatabaseError(f"The copy of {name} in {url} differs from the backup.")
    except BaseError as error:
        reason = str(error).splitlines()[0][:200]
        raise DatabaseError(f"{backup.name} was not copied to {url}: {reason}.") from error
    return f"{url.rstrip('/')}/{backup.name}"


def _digest(answer: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in answer:
        digest.update(piece)
    return digest.hexdigest()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
