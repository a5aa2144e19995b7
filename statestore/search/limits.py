"""The bounds and budgets of search, with the reason for each."""

from typing import Final

# Trigrams have three characters: shorter words are not indexed, on either database.
SHORTEST_WORD_CHARACTERS: Final = 3
# Newest matches that facets, histograms and completions count: enough for shares, few enough for each page view.
SAMPLED_EVENTS: Final = 5_000
# Events that are read for one answer if no index narrows a query down: some 100 ms.
UNINDEXED_EVENTS: Final = 1_500
# Ids of events that one SQL query asks for: SQLite reads them by key, quickly enough to keep no writer waiting.
IDS_AT_ONCE: Final = 500
# Values that facets show for each filter.
FACET_VALUES: Final = 8
