"""Texts that differ in their numbers alone, told as one."""

import re
from typing import Final

_DIGITS: Final = re.compile(r"\d+")


def form(text: str) -> str:
    """Return what a text looks like without its numbers: texts of one form are alike."""
    return _DIGITS.sub("0", text)


def ranges(alike: list[str]) -> str:
    """Return texts of one form as one, each number that varies as ‹least–most›."""
    numbers = [_DIGITS.findall(text) for text in alike]
    columns = iter(list(zip(*numbers, strict=True)))

    def spread(_: re.Match[str]) -> str:
        column = next(columns)
        least, most = min(column, key=_size), max(column, key=_size)
        return least if least == most else f"‹{least}–{most}›"

    return _DIGITS.sub(spread, alike[0])


def _size(digits: str) -> tuple[int, str]:
    # Not as a number: an agent may write one of a million digits.
    plain = digits.lstrip("0")
    return len(plain), plain
