"""The terminal: confirmation before a change, and safe display of untrusted text."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.core.management.base import CommandError

_QUIET_SECONDS: Final = 2.0


@contextmanager
def announced(say: Callable[[str], object], what: str) -> Iterator[None]:
    """Run a block; if it takes over two seconds, say what is being done, and that it still is, until it ends."""
    over = threading.Event()

    def tell() -> None:
        seconds = _QUIET_SECONDS
        while not over.wait(seconds if seconds == _QUIET_SECONDS else seconds / 2):
            say(f"{what} … {seconds:.0f} s")
            seconds *= 2

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def one_line(text: str) -> str:
    """Return a text without the control characters by which a name could colour the terminal or forge a line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


_REMEDIES: Final = {
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "Check the path.",
    errno.EACCES: "Let this user read and write there.",
    errno.EPERM: "Let this user read and write there.",
    errno.EROFS: "Let this user read and write there.",
    errno.ENOSPC: "Free some space on its disk and try again.",
}


def in_words(error: Exception) -> str:
    """Return in one line what a command says of an error: of a file's, which file, why, and what to do."""
    if not isinstance(error, OSError) or error.filename is None:
        return one_line(str(error))
    words = (f"{os.fsdecode(error.filename)}: {error.strerror}.", _REMEDIES.get(error.errno or 0, ""))
    return one_line(" ".join(filter(None, words)))


def agreed(question: str) -> bool:
    """Return True if the answer is yes. Raises CommandError otherwise, and where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to confirm on. Nothing was changed. Pass --yes to skip the question.")
    if input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}:
        return True
    raise CommandError("Nothing was changed.")
