"""How much an export or import holds in memory and in one transaction."""

from typing import Final

# One line is one row, which has two states at most.
MAX_LINE_BYTES: Final = 256 * 1024 * 1024
STREAM_READ_BYTES: Final = 256 * 1024
PIECE_BYTES: Final = 64 * 1024
# Each read is short: in rollback-journal mode an open one makes the orchestrator wait.
READ_ROWS: Final = 500
READ_BYTES: Final = 8 * 1024 * 1024
# Each transaction is short: the orchestrator waits for it.
WRITTEN_ROWS: Final = 200
WRITTEN_BYTES: Final = 4 * 1024 * 1024
REPORTED_REFUSALS: Final = 1_000
