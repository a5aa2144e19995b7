"""How much is copied at a time, and how long a writer may wait for it."""

from typing import Final

# Copied in one transaction: who changes one of these rows waits for it.
COPIED_ROWS: Final = 1_000
COMPARED_ROWS: Final = 10_000
# A lock is waited for no longer than this, since all who write queue behind; then it is tried again after a pause.
LOCK_MILLISECONDS: Final = 200
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0
TRYING_SECONDS: Final = 300.0
# For the last lock of a long transaction.
PATIENT_TRIES: Final = 10
# Partitions that are made at the beginning, the newest of the months that have rows; all else is in one of its own.
MOST_MONTHS: Final = 120
# Made ahead, with the present month.
COMING_MONTHS: Final = 3
