"""Talking to whoever sits at the terminal: asking before something is changed, and showing what cannot be trusted."""

import sys

from django.core.management.base import CommandError


def one_line(text: str) -> str:
    """Return a text without the control characters by which a name could colour the terminal or forge a line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def agreed(question: str) -> bool:
    """Return True when the answer was yes. Raises CommandError when it was not, or where nobody can be asked."""
    if not sys.stdin.isatty():
        raise CommandError("Nobody can be asked here. Nothing was changed; say --yes to go on without asking.")
    if input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}:
        return True
    raise CommandError("Nothing was changed.")
