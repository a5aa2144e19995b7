"""Paths in commands that are shown to be pasted into a shell, for any name that a folder may have."""

import os
import shlex
from pathlib import Path


def word(path: Path | str) -> str:
    """Return a path as one word of a POSIX shell.

    Characters that cannot be shown, by which a name could also forge a line, are made by printf.
    """
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    return '"$(printf ' + shlex.quote("".join(map(_escaped, text))) + ')"'


def _escaped(character: str) -> str:
    if character in "%\\":
        return character * 2
    return character if character.isprintable() else "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
