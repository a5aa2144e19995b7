"""How many events one call takes, and how many searches a user saves."""

from typing import Final

CALL_EVENTS: Final = 10_000
# One transaction writes this many events: the orchestrator waits for it.
CHUNK_ROWS: Final = 500
SAVED_SEARCHES: Final = 50
NAME_CHARACTERS: Final = 80
