"""Texts of agents with every character made visible."""

import re
from typing import Final

# Control, zero-width and bidirectional characters: with them one text can pose as another.
UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
# More fonts have these than have the control pictures.
_DRAWN: Final = {"\n": "⏎", "\t": "⇥"}


def glyph(match: re.Match[str]) -> str:
    """Return what is shown for a character that cannot be seen."""
    code = ord(match[0])
    if 0xD800 <= code < 0xE000:
        return "\ufffd"
    if match[0] in _DRAWN:
        return _DRAWN[match[0]]
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def visible(value: object) -> str:
    """Return a text of several lines with every invisible character made visible."""
    return UNSEEN.sub(glyph, str(value)) if value is not None else ""
