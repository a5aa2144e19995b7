"""How much of the task graph one page reads and draws."""

from typing import Final

# No index covers what the tasks' lists name: this many entries of each record are read to find dependents.
RECORDED_DEPENDENCIES: Final = 20_000
IDS_AT_ONCE: Final = 500
GRAPH_TASKS: Final = 300
