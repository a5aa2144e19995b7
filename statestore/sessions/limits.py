"""How many events and sessions one page reads and shows."""

from typing import Final

# Sessions walked for one list; those after them, by id, are a list of their own.
WALKED_SESSIONS: Final = 100_000
# No index has (agent, session): an agent's sessions are those of this many of its newest events.
AGENT_EVENTS: Final = 20_000
CONVERSATION_ROWS: Final = 100
# A pause as long as this is shown.
GAP_SECONDS: Final = 300
# Longer content is cut.
SHOWN_CHARACTERS: Final = 20_000
PAGE_TRANSITIONS: Final = 200
PAGE_AGENTS: Final = 300
# The participants of a session without a row of its own are counted in this many of its events.
COUNTED_EVENTS: Final = 2_000
LISTED_EVENTS: Final = 50
