"""How much retention reads and deletes at a time."""

from typing import Final

# Read at a time, without states.
READ_ROWS: Final = 1_000
# Deleted in one transaction: the orchestrator waits for it.
DELETED_ROWS: Final = 200
DELETED_BYTES: Final = 4 * 1024 * 1024
# Agents that a simulation names; all are counted.
NAMED_AGENTS: Final = 100
# A policy keeps at least an hour: nothing that is looked at just now goes.
LEAST_SECONDS: Final = 3_600
# A clock that went further than this since the last run must be confirmed before anything goes.
CLOCK_SECONDS: Final = 30 * 24 * 3_600
CLOCK_BACK_SECONDS: Final = 3_600
