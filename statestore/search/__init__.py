"""Search in events: exact as the orchestrator's own LIKE, in milliseconds, at any moment.

query         the query box's text as a Query, errors with their position
filters       a Query as clauses on events: every answer is checked with them
results       one page of answers
export        all answers, row by row
facets        how often each value occurs
histogram     how matches spread over time
sampling      what facets and histogram count
agents        who acted in what was found
live          what was inserted since
autocomplete  names and values that exist, for the box

fts           SQLite: a disposable FTS5 index of our own (index_file, indexer, documents, source, change_log, ordering,
              time_buckets, trigram_stats, coverage, planner, unindexed), kept up to date by the daemon
postgres      PostgreSQL: its own trigram indexes

PostgreSQL keeps trigram indexes itself, which migration 0005 makes, and answers by the same clauses.
"""

from statestore.search.agents import Agents, agents
from statestore.search.autocomplete import Suggestion, complete
from statestore.search.export import find_all
from statestore.search.facets import Facets, facets
from statestore.search.filters import LAST_PAGE, narrowed, with_excerpt
from statestore.search.fts.indexer import Indexer, Progress, index_all
from statestore.search.histogram import Bar, Histogram, histogram
from statestore.search.live import Tail, follow, tail_from_now
from statestore.search.query import FIELDS, LONGEST, NAMES, TEXT, TIMES, Query, QueryError, Term, marked, parse
from statestore.search.results import Found, find

__all__ = [
    "FIELDS", "LAST_PAGE", "LONGEST", "NAMES", "TEXT", "TIMES", "Agents", "Bar", "Facets", "Found", "Histogram",
    "Indexer", "Progress", "Query", "QueryError", "Suggestion", "Tail", "Term", "agents", "complete", "facets", "find",
    "find_all", "follow", "histogram", "index_all", "marked", "narrowed", "parse", "tail_from_now", "with_excerpt",
]  # fmt: skip
