"""The key that signs sessions, where SECRET_KEY gives none: made by the first run, and kept."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

LEAST_CHARACTERS: Final = 32
_OTHERS: Final = 0o077
# What stands in its place in a process that is refused.
_NONE: Final = "-" * LEAST_CHARACTERS


def checked(key: str, refuse: Callable[[str], None]) -> str:
    """Return a key that was given, unless it is too short."""
    if len(key) < LEAST_CHARACTERS:
        refuse(
            f"SECRET_KEY has fewer than {LEAST_CHARACTERS} characters; use more, or leave it out: the first run makes"
            " one and keeps it in VAR_DIR."
        )
        return _NONE
    return key


def kept_in(directory: Path, refuse: Callable[[str], None]) -> str:
    """Return the key that is kept in a directory, and make both if they are missing."""
    path = directory / "secret_key"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or not path.stat().st_size:
            _make(path)
        elif path.stat().st_mode & _OTHERS:
            with suppress(OSError):  # Another user's, who lets this one read it.
                path.chmod(0o600)
        return checked(path.read_text().strip(), lambda _: refuse(f"{path} has no key; delete it, to get a new one."))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        refuse(
            f"VAR_DIR is “{directory}”; its secret_key cannot be read or made ({reason}): let this user read and write"
            " there, or set VAR_DIR to a directory where it may."
        )
        return _NONE


def _make(path: Path) -> None:
    """Make a key that appears whole; of two processes that start at once, both take the first one's."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(64))
    try:
        if path.exists():  # Empty: its writer was interrupted.
            draft.replace(path)
        else:
            with suppress(FileExistsError):
                path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
