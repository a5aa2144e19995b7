"""The bounds and budgets of search, each with what it protects. Costs of trigrams are in fts/trigram_stats.py."""

from typing import Final

# --- What is asked for -----------------------------------------------------------------------------------------------

QUERY_CHARACTERS: Final = 10_000
# Each term is a condition on every event that is read.
QUERY_TERMS: Final = 50
# Trigrams have three characters: shorter words are not indexed, on either database.
SHORTEST_WORD_CHARACTERS: Final = 3
# An event's id is part of a page's address; without it, the page's place in the index is found by time alone.
CURSOR_ID_CHARACTERS: Final = 500
# A tail's cursor holds one number and TAIL_REREAD_ROWIDS bits.
TAIL_CURSOR_CHARACTERS: Final = 200

# --- What is shown ---------------------------------------------------------------------------------------------------

EXCERPT_CHARACTERS: Final = 320
EXCERPT_LEAD_CHARACTERS: Final = 80
FACET_VALUES: Final = 8
COMPLETIONS: Final = 10
# Completions are sorted by the numbers in them, among the first ones in the order of the index.
ORDERED_NAMES: Final = 200
BARS: Final = 48
AGENTS: Final = 300
# One answer of the live tail; the others come with the next.
TAIL_EVENTS: Final = 50
# The indexer polls twice a second: a smaller lag is not worth a note.
SHOWN_LAG_SECONDS: Final = 2

# --- What is read for one answer: bounds the time that a page takes ---------------------------------------------------

# Newest matches from which facets, histograms, completions and agents are taken.
SAMPLED_EVENTS: Final = 2_000
# On PostgreSQL, neighbouring sessions are those of so many events.
SESSION_EVENTS: Final = 20_000
# Events that may wait for the indexer while the list of sessions is read by the index.
WAITING_EVENTS: Final = 500
# Documents that are examined for this sample if filters reject most of them.
SAMPLED_DOCUMENTS: Final = 10_000
# Events that are read if no index narrows a query down.
UNINDEXED_EVENTS: Final = 1_500
# Events that are read if there is no index yet.
LAST_INSERTED_EVENTS: Final = 100_000
# If more events changed since they were indexed, the index is useless: LAST_INSERTED_EVENTS are read instead.
MARKED_EVENTS: Final = 20_000
# Events larger than INDEXED_BYTES are read whole, up to this much together.
LARGE_EVENT_BYTES: Final = 32 << 20
# Documents of the index that are examined for one page, and candidates among them whose events are read.
PAGE_DOCUMENTS: Final = 60_000
PAGE_CANDIDATES: Final = 6_000
# After so many candidates that have some trigrams of a word, but mostly not the word, all its trigrams are looked up.
PARTIAL_CANDIDATES: Final = 500
# Reading so few documents with a name is quicker than looking words up.
FEW_DOCUMENTS: Final = 2_000
# If so few documents have certain trigrams, all of them are read rather than further trigrams looked up.
RARE_DOCUMENTS: Final = 1_000
# Documents that are examined if RARE_DOCUMENTS or FEW_DOCUMENTS were expected: statistics may be wrong.
SMALL_SOURCE_DOCUMENTS: Final = 20_000
# Sorting so many documents with certain names is quicker than walking all documents in order.
SORTABLE_DOCUMENTS: Final = 20_000
# A bar with more matches is estimated: from so many at its beginning, and some in its middle.
BAR_DOCUMENTS: Final = 125
BAR_MIDDLE_DOCUMENTS: Final = 60
# If the index of a column finds nothing but matches, so many are counted.
BAR_NAMED_DOCUMENTS: Final = 20_000
# Documents that are counted one by one if a range begins or ends within five minutes that are counted together.
SLOT_DOCUMENTS: Final = 2_000
# On PostgreSQL, a bar with more events is estimated from so many of its oldest.
BAR_EVENTS: Final = 500
# On PostgreSQL, a query that takes longer is answered from UNINDEXED_EVENTS instead.
POSTGRES_SECONDS: Final = 5.0
# The beginning of a commit is looked up by name if fewer commits have it.
COMMITS: Final = 500
# An actor is an agent if one of so many of its newest events is an agent's.
ACTOR_EVENTS: Final = 50
# Matches outside of a namespace that are passed over before the events of the namespace themselves are read.
OUTSIDE_EVENTS: Final = 2_000
# Sessions of the agents that a query names. If there are more, the index does not narrow it down.
AGENT_SESSIONS: Final = 20_000
# Of these, so many are listed in a statement; more are looked up by it, each time.
LISTED_SESSIONS: Final = 2_000
# The documents of so many sessions are merged in order of time.
MERGED_SESSIONS: Final = 50
# Rows that the live tail examines for one answer.
TAIL_ROWS: Final = 1_000
# Rowids that the live tail reads again: on PostgreSQL, a transaction may commit after another with later rowids.
TAIL_REREAD_ROWIDS: Final = 500

# --- What is read at once: in rollback-journal mode, the orchestrator's save waits for the end of each read -----------

IDS_AT_ONCE: Final = 500
ROWS_AT_ONCE: Final = 10_000
# Of events larger than INDEXED_BYTES.
LARGE_EVENTS_AT_ONCE: Final = 8
# Candidates of a page; how many follows from the share of matches so far.
LEAST_CANDIDATES_AT_ONCE: Final = 60
MOST_CANDIDATES_AT_ONCE: Final = 500
# Releases of SQLite before 3.32 take 999 variables in one statement.
VARIABLES_AT_ONCE: Final = 900
# Pages of ids, of which exports and lists of agents are made; rows that an export holds in memory.
IDS_PER_PAGE: Final = 1_000
EXPORT_ROWS_AT_ONCE: Final = 200
EXPORT_BYTES_AT_ONCE: Final = 8 << 20

# --- What the indexer does at once -----------------------------------------------------------------------------------

# The beginning of a content that is indexed. Events with more are marked as cut.
INDEXED_BYTES: Final = 1 << 20
# Reads of the store.
CHUNK_ROWS: Final = 1_000
CHUNK_BYTES: Final = 8 << 20
MARKS_AT_ONCE: Final = 1_000
# Transactions of the index while it is built: few and large, since FTS5 writes out all that it holds at each end.
WALK_ROWS: Final = 10_000
WALK_BYTES: Final = 16 << 20
MERGE_PAGES: Final = 500
# Without triggers, edits and deletions by other programs are found by going through all events again.
CHECK_SECONDS: Final = 600
# Documents whose seconds are kept in memory while others are numbered.
NOTED_DOCUMENTS: Final = 20_000
