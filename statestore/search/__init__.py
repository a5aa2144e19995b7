"""Search in events: exact as the orchestrator's own LIKE, in milliseconds, at any moment.

language    the query box's text → Query, errors with their position
clauses     a Query as clauses on events: what every answer is checked with
order       (timestamp, insertion order) as one number
file        the index's own disposable file, its lease
marks       triggers that mark what changed
source      events as the indexer reads them
documents   events → documents of the index
tally       how many documents there are in each five minutes
grams       how common each trigram is, from a sample
indexer     marks, the walk through the store, merging
state       what the index covers right now
candidates  which documents may answer, by the plan that looks at the fewest
database    PostgreSQL's own way: its indexes, and no more read than there is time for
reading     what the index does not cover, read
found       one page of answers
whole       all answers, row by row
matches     what is counted
counts      facets
bars        the histogram
acting      who acted in what was found
tail        what was inserted since
completion  names and values that exist, for the box

service     the indexer as a part of `serve`

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
