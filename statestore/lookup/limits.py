"""How many matches of a kind are shown, and how many rows are looked through: an answer is asked for at each key."""

from typing import Final

TEXT_CHARACTERS: Final = 500
SHOWN: Final = 6
# A shorter beginning of an id names too many of them by chance.
SHORTEST_ID_CHARACTERS: Final = 4
# Rows with a text whose agents may be out of scope.
CANDIDATES: Final = 100
# No index has a part of an id or of a title: the rows that were inserted last are looked through.
SESSIONS: Final = 10_000
TASKS: Final = 10_000
# Restores and batches are made by people and scripts, one at a time.
RESTORES: Final = 10_000
BATCHES: Final = 10_000
# A snapshot's description lies behind its state, which has to be passed over.
SNAPSHOTS: Final = 200
# Agents to choose from in a form.
OFFERED_AGENTS: Final = 20
