"""How much of an agent's past one request reads, and how much of it is shown."""

from typing import Final

# One page reads the past for this long. The next request goes on where it stopped.
WALK_SECONDS: Final = 0.25
# In rollback-journal mode an open query makes the orchestrator wait: each ends after this many rows.
QUERY_ROWS: Final = 500
# A state may have 50 MB: no more rows than this are in memory at once.
ROWS_IN_MEMORY: Final = 4
# Records of one second are ordered by their texts up to this many rows and bytes, beyond that by kind.
ORDERED_ROWS: Final = 50
ORDERED_BYTES: Final = 16 * 1024 * 1024
# A state with more leaves is blamed branch by branch.
BLAMED_LEAVES: Final = 20_000
# Newest transitions among which restores and their undos are looked for, to leave them out of a diagnosis.
UNDONE_TRANSITIONS: Final = 20
# Places of removed items that are kept with it, those of the newest steps.
SEAMS: Final = 500
BLAME_CACHE_SECONDS: Final = 24 * 3600
# The effort (`jsondiff.budget.Budget`) of comparing two neighbouring states.
COMPARISON_UNITS: Final = 300_000
# A state known by its hash alone is searched in this many of the newest transitions.
HASHED_TRANSITIONS: Final = 20
LANE_COLUMNS: Final = 160
# A column is full at this many rows; more are not counted.
LANE_COLUMN_ROWS: Final = 25
# No index has (actor, time): only the events inserted last are read.
NEWEST_EVENTS: Final = 1_000
# Every SQLite version in use takes this many parameters in one statement.
COMMIT_TRANSITIONS: Final = 900
# A diagnosis reads this many of the newest transitions; the beginnings of their reasons are compared.
DIAGNOSED_TRANSITIONS: Final = 200
REASON_CHARACTERS: Final = 300
# Of so many, the sizes of the states: one that grew tenfold within an hour, and is no longer small, is told.
SIZED_TRANSITIONS: Final = 20
GROWTH_SECONDS: Final = 3600
GROWN_TIMES: Final = 10
GROWN_BYTES: Final = 100_000
# So many transitions in a row that leave the state as it was are told; states larger than this are not compared.
REPEATED_STATES: Final = 3
REPEATED_BYTES: Final = 16 * 1024 * 1024
# Without a range of time, the changes of all agents are those of the last day.
CHANGES_SECONDS: Final = 24 * 3600
# A bar of the changes of all agents counts each kind up to this many.
COUNTED_CHANGES: Final = 1_000
# Of the changes of all agents in a range of time, so many of the newest are searched for a text.
SEARCHED_CHANGES: Final = 5_000
# A list of agents shows the sizes of so many of the last states of each.
LISTED_CHANGES: Final = 24
# So many transitions in a row with one reason are one row of a timeline.
FOLDED_RECORDS: Final = 3
