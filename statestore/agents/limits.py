"""How many rows one action on agents reads or writes at a time."""

from typing import Final

BULK_AGENTS: Final = 200
# A person may choose all agents that match a filter, up to this many.
MATCHING_AGENTS: Final = 5_000
# One request of a person acts for this long. The next one goes on with the rest.
REQUEST_SECONDS: Final = 8
# The entries of one action on several agents are looked for within this time from its beginning.
GROUP_SECONDS: Final = 3600
# One transaction deletes this many rows: the orchestrator waits for it.
DELETED_ROWS: Final = 200
# The cost of capture is measured for states of these sizes, for this long each.
MEASURED_BYTES: Final = (10 * 1024, 1024 * 1024, 10 * 1024 * 1024)
MEASURED_SECONDS: Final = 0.4
# A save of 10 MB may take this much longer with the triggers.
MAX_ADDED_MS: Final = 50
# Agents of `descartes ps` that are shown: those that were started last.
PROCESSES: Final = 50
