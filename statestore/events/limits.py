"""How many events one call takes, and how many searches a user saves."""

from typing import Final

CALL_EVENTS: Final = 10_000
# One transaction on SQLite writes this many events: the orchestrator waits for it.
CHUNK_ROWS: Final = 500
# On PostgreSQL nobody waits for it; each transaction and each copy has its own price.
COPIED_CHUNK_ROWS: Final = 5_000
SAVED_SEARCHES: Final = 50
NAME_CHARACTERS: Final = 80
