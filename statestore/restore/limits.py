"""How many agents and changes one restore takes, and for how long a prepared one is valid."""

from typing import Final

MAX_EDITS: Final = 100
# Plans and batches can be applied for a day.
PLAN_SECONDS: Final = 24 * 3600
# A running agent may save over a restored state; one that saved this recently is likely to.
FRESH_SECONDS: Final = 60
MAX_ID_CHARACTERS: Final = 500
# The tree of forks ends at this depth and size, a cycle of forks too.
MAX_FORK_DEPTH: Final = 6
MAX_FORKS: Final = 200
MAX_AGENTS: Final = 5_000
# The orchestrator waits for each of our transactions: a batch starts another one after this long.
HOLD_SECONDS: Final = 0.05
# One request restores for this long. The next one goes on with the rest.
REQUEST_SECONDS: Final = 10
AGENTS_AT_ONCE: Final = 50
# The preview of a batch says how much would change, for as long as this and for states up to this size.
COMPARED_SECONDS: Final = 0.5
COMPARED_CHARACTERS: Final = 256 * 1024
# No index has (actor, time): only the events inserted last are read.
NEWEST_EVENTS: Final = 1_000
SHOWN_SIDE_EFFECTS: Final = 20
