"""Text, sizes and times as pages show them; every character of an agent's text is made visible."""

import re
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from django.utils.safestring import SafeString

from statestore.jsondiff import parsing
from statestore.jsondiff.diff import Missing
from statestore.jsondiff.parsing import Json
from statestore.text.visible import UNSEEN, glyph
from statestore.text.visible import visible as visible

_UNSEEN_IN_LINE: Final = re.compile(f"[\t\n]|{UNSEEN.pattern}")
_CODE: Final = re.compile("`([^`]+)`")
VALUE_CHARACTERS: Final = 1000
_UNITS: Final = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def with_code(value: object) -> SafeString:
    """Return a message of ours as HTML: what stands in backticks as code."""
    return SafeString(_CODE.sub(r"<code>\1</code>", escape(visible(value))))


def line(value: object, length: int = 120) -> str:
    """Return a text as one visible line, cut at the end where it is longer than `length`."""
    text = "" if value is None else str(value)
    cut = text[: length + 1]
    shown = _UNSEEN_IN_LINE.sub(glyph, cut[:length])
    return f"{shown}…" if len(text) > length else shown


def middle(value: object, length: int = 28) -> str:
    """Return an id as one visible line, shortened in the middle."""
    text = str(value)
    if len(text) <= length:
        return line(text, length)
    half = (length - 1) // 2
    return f"{_UNSEEN_IN_LINE.sub(glyph, text[:half])}…{_UNSEEN_IN_LINE.sub(glyph, text[-half:])}"


_AGO_UNITS: Final = ((31_536_000, "y"), (2_592_000, "mo"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def ago(seconds: int, now: int) -> str:
    """Return a time as seen from now, such as `3h ago` or `in 2d`. app.js keeps it so, in the same words."""
    distance = seconds - now
    size, unit = next((one for one in _AGO_UNITS if abs(distance) >= one[0]), _AGO_UNITS[-1])
    number = f"{(abs(distance) + size // 2) // size}{unit}"
    return f"in {number}" if distance > 0 else f"{number} ago"


def utc(seconds: Any) -> datetime | None:
    """Return seconds as a UTC time, or None if they are out of range."""
    if not getattr(seconds, "readable", True):
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None


def size(count: int | None) -> str:
    """Return a number of bytes with its unit."""
    if count is None:
        return ""
    for unit_bytes, unit in _UNITS:
        if count >= unit_bytes:
            return f"{count / unit_bytes:.1f} {unit}"
    return f"{count} B"


def shown_json(value: Json | Missing) -> str:
    """Return a value as JSON in one visible line, cut where it is long."""
    if isinstance(value, Missing):
        return ""
    text = parsing.beginning(value, VALUE_CHARACTERS)
    return visible(text[:VALUE_CHARACTERS]) + ("…" if len(text) > VALUE_CHARACTERS else "")


# The first that occurs names the browser: the later ones are in the names of the earlier ones.
_BROWSERS: Final = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
    ("curl/", "curl"), ("python", "Python"),
)  # fmt: skip
_SYSTEMS: Final = (
    ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def browser_name(user_agent: str) -> str:
    """Return the browser and the system that a User-Agent header names, or its beginning."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return " on ".join(name for name in (browser, system) if name) or user_agent[:60] or "unknown"
