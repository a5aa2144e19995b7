"""What a text finds in the store: agents, sessions, tasks, snapshots and the rest, a few of each kind.

matches   what is found of each kind
limits    how many rows are shown and looked through
"""

from statestore.lookup.matches import Match, Matches, agents, agents_called, look_up

__all__ = ["Match", "Matches", "agents", "agents_called", "look_up"]
