"""How much the archive reads and moves at a time."""

from typing import Final

# Records of an agent read at a time, without their states.
READ_ROWS: Final = 1_000
# Moved in one transaction: the orchestrator waits for it.
MOVED_ROWS: Final = 200
MOVED_BYTES: Final = 4 * 1024 * 1024
# By itself, housekeeping archives an agent once so many of its records are old enough: small frames compress badly.
LEAST_RECORDS: Final = 64
# Agents that `archive` names before it asks.
NAMED_AGENTS: Final = 20
