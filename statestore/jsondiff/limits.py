"""How much effort a comparison takes, and how much of its result is shown."""

from typing import Final

# Larger or deeper states are compared as text.
MAX_PARSED_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 100
MAX_CHANGES: Final = 2_000
# A container with more changes of its own, and more than half as many as it has members, is replaced as a whole.
MAX_CHANGES_IN_UNLIKE: Final = 200
# About a second. What is not compared by then is replaced as a whole.
DIFF_UNITS: Final = 6_000_000
# What single steps cost.
MEMBER_UNITS: Final = 3
PLACE_UNITS: Final = 50
EXACT_KEY_UNITS: Final = 40
LIKENESS_UNITS: Final = 100
CHARACTER_UNITS: Final = 5
# Lists with fewer edited items are read without being charged for them.
EDITS_UNCHARGED: Final = 2_000
# A text is looked for in a state: in each value, and in all.
FOUND_VALUE_UNITS: Final = 10
FIND_UNITS: Final = 4_000_000
# All comparisons, word diffs and searches of one page, or one call, together: about a second.
PAGE_UNITS: Final = 10_000_000
# Each level compares everything below it again, which is charged from this level on.
LEVELS_UNCHARGED: Final = 4
# With more insertions and deletions a good match replaces the longest one, whose cost grows with their square.
MAX_EDITS: Final = 400
# Gaps with more cells (removed times added items) are paired by position instead of by similarity.
MAX_CELLS: Final = 10_000
# With more moved items, matching everything again costs no more than checking whether it is needed.
MAX_MOVED_LOOKED_UP: Final = 10
# Of long texts this much is compared at either end.
GLIMPSE_CHARS: Final = 1_000
# The similarity at which two items of a list are paired; objects need less.
MIN_SIMILARITY: Final = 0.3
MIN_OBJECT_SIMILARITY: Final = 0.25
MAX_COMPARED_LINES: Final = 50_000
MAX_COMPARED_CHARS: Final = 200_000
MAX_SHOWN_LINES: Final = 2_000
MAX_LINE_CHARS: Final = 2_000
# About half a second. After that the match is good instead of the longest.
TEXT_DIFF_UNITS: Final = 5_000_000
MAX_WORD_CHARS: Final = 200
# A merge compares each two items of a list up to this length; in longer ones only what was moved.
MAX_ORDERED: Final = 400
