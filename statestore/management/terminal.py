"""The terminal: confirmation before a change, and safe display of untrusted text."""

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


def agreed(question: str) -> bool:
    """Return True if the answer is yes. Raises CommandError otherwise, and where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to confirm on. Nothing was changed. Pass --yes to skip the question.")
    if input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}:
        return True
    raise CommandError("Nothing was changed.")
