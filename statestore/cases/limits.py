"""Bounds of a case: what one file holds at most."""

from typing import Final

TRANSITIONS: Final = 30
MOST_TRANSITIONS: Final = 500
EVENTS: Final = 200
MOST_EVENTS: Final = 5_000
# Sessions whose events are looked at, newest first.
SESSIONS: Final = 50
MESSAGES: Final = 2_000
# Changes of one transition, and characters of each value of them.
CHANGES: Final = 500
VALUE_CHARACTERS: Final = 4_000
# Characters of all states that are compared for one file.
COMPARED_CHARACTERS: Final = 64 * 1024 * 1024
