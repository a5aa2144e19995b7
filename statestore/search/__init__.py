"""Search in events: exact as the orchestrator's own LIKE (but % and _ are plain), in milliseconds, at any moment.

results       answers to a query: a page, its facets, its histogram
export        all matches, row by row
agents        the agents that acted in the matches
newest        the newest events with a text, for the Python API
live          what was inserted since a cursor
autocomplete  names and values for the query box
upkeep        bringing the index up to date

engine        one protocol, two engines: only this module asks which database it is
fts           SQLite: a disposable FTS5 index of our own, kept up to date by the daemon
postgres      PostgreSQL: its trigram indexes, which migration 0005 creates

query         the query box's text as a Query, errors with their position
agent_sessions   the sessions of the agents that a Query names
cursor        where a page begins
filters       a Query as conditions on events: every answer is checked with them
hits, facets, histogram   what engines answer with
"""

from statestore.search.agents import Agents, agents_of
from statestore.search.autocomplete import Suggestion, complete, values_of
from statestore.search.cursor import LAST_PAGE
from statestore.search.export import find_all
from statestore.search.facets import Facets
from statestore.search.filters import narrowed, with_excerpt
from statestore.search.histogram import Bar, Histogram
from statestore.search.live import Tail, follow, tail_from_now
from statestore.search.newest import newest_with
from statestore.search.progress import Progress
from statestore.search.query import FIELDS, NAMES, TEXT, TIMES, Query, QueryError, Term, marked, parse
from statestore.search.results import ResultPage, counts_of, facets_of, find, histogram_of, session_range
from statestore.search.upkeep import index_all, lag_seconds, watch_indexer

__all__ = [
    "FIELDS", "LAST_PAGE", "NAMES", "TEXT", "TIMES", "Agents", "Bar", "Facets", "Histogram",
    "Progress", "Query", "QueryError", "ResultPage", "Suggestion", "Tail", "Term", "agents_of", "complete",
    "counts_of", "facets_of", "find", "find_all", "follow", "histogram_of", "index_all", "lag_seconds", "marked",
    "narrowed", "newest_with", "parse", "session_range", "tail_from_now", "values_of", "watch_indexer",
    "with_excerpt",
]  # fmt: skip
