"""The terminal: confirmation before a change, and safe display of untrusted text."""

import sys

from django.core.management.base import CommandError


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
