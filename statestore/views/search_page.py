"""What the search page shows around its answer: chips, facets, ranges, the histogram; each a link."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

from django.urls import get_script_prefix, reverse
from django.utils.http import urlencode

from statestore import models, search
from statestore.models.events import EventQuerySet
from statestore.search import Query, Term
from statestore.sources.naming import Mirrors, mirrors
from statestore.views.formatting import utc, visible

RANGES: Final = (("15 min", "15m"), ("1 h", "1h"), ("24 h", "24h"), ("7 days", "7d"), ("30 days", "30d"))
COUNTED: Final = 1_000
LONGEST_WORDS: Final = 500
# Each one is a search.
MOST_WIDENINGS: Final = 6
LABELS: Final = {
    "type": "Type", "actor": "Actor", "actor-type": "Actor type", "session": "Session", "commit": "Commit",
}  # fmt: skip


def address(query: Query | str, **more: str | int | None) -> str:
    """Return the address of the search page for a query."""
    page, text = _search_page(get_script_prefix()), visible(str(query))
    if not more:  # A page has a hundred of these.
        return f"{page}?q={quote_plus(text)}" if text else page
    parameters = {name: value for name, value in {"q": text, **more}.items() if value not in ("", None)}
    return f"{page}?{urlencode(parameters)}" if parameters else page


@functools.cache
def _search_page(_script_prefix: str) -> str:
    return reverse("events")


@dataclass(frozen=True, slots=True)
class Chip:
    """One term of the query: how to take it away, and how to turn it round."""

    term: Term
    without: str
    opposite: str


def chips(query: Query) -> list[Chip]:
    """Return the query's terms."""
    return [
        Chip(term, address(query.without(term)), address(query.without(term).plus(_opposite(term))))
        for term in query.terms
    ]


def _opposite(term: Term) -> Term:
    return Term(term.name, term.value, not term.negated, term.seconds)


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value, how often it occurs, and where it leads."""

    value: str
    count: int
    narrow: str
    exclude: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """One filter with its commonest values."""

    name: str
    label: str
    values: list[FacetValue]
    is_open: bool


def facet_lists(query: Query, facets: search.Facets) -> list[Facet]:
    """Return the facets that have anything to choose from.

    Agents are among the actors: a search for one of them finds its sessions too, which its number does not count.
    """
    return [
        Facet(name, LABELS[name], [_value(query, name, *pair) for pair in pairs], name != "actor-type")
        for name, pairs in facets.values.items()
        if pairs and name != "agent"
    ]


def _value(query: Query, name: str, value: str, count: int) -> FacetValue:
    term = Term(name, value)
    chosen = term in query.terms
    narrow = query.without(term) if chosen else query.plus(term)
    return FacetValue(value, count, address(narrow), address(query.plus(_opposite(term))), chosen)


def ranges(query: Query) -> Iterator[tuple[str, str, bool]]:
    """Return the usual stretches of time: label, address, whether it is the present one."""
    times = [term for term in query.terms if term.name in search.TIMES]
    open_ended = query.between(None, None)
    for label, ago in RANGES:
        yield (
            label,
            address(open_ended.plus(Term("after", ago))),
            [(t.name, t.value) for t in times] == [("after", ago)],
        )
    yield "all", address(open_ended), not times


@dataclass(frozen=True, slots=True)
class Absolute:
    """The stretch of time that a query names, as fields of a form take it, and the query without it."""

    rest: str
    after: str
    before: str
    is_current: bool


def absolute(query: Query) -> Absolute:
    """Return the query's own stretch of time."""
    after, before = (_field(seconds) for seconds in (query.after, query.before))
    agos = [ago for _, ago in RANGES]
    is_current = any(term.name in search.TIMES and term.value not in agos for term in query.terms)
    return Absolute(str(query.between(None, None)), after, before, is_current)


def zoom_address(query: Query) -> str:
    """Return the address of the page for a range of time, with {start} and {end} for its seconds."""
    ranged = address(f"{query.between(None, None)} after:<start> before:<end>".strip())
    return ranged.replace("%3Cstart%3E", "{start}").replace("%3Cend%3E", "{end}")


def _field(seconds: int | None) -> str:
    moment = utc(seconds) if seconds is not None else None
    return moment.strftime("%Y-%m-%dT%H:%M:%S") if moment else ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many matches there are: exactly up to a thousand; `reach` says how far that goes where it is not all."""

    number: str
    is_one: bool
    reach: str = ""

    def __str__(self) -> str:
        return self.number


def count_of(facets: search.Facets) -> Count:
    """Return how many matches there are, in words."""
    if facets.total > COUNTED:
        return Count(f"{COUNTED:,}+", is_one=False)
    return Count(f"{facets.total:,}", facets.total == 1, facets.reach)


@dataclass(frozen=True, slots=True)
class Widening:
    """A search without one of its terms: how many matches that has, and where it leads."""

    term: Term
    url: str
    total: int
    count: Count


def widenings(query: Query, among: EventQuerySet | None) -> list[Widening]:
    """Return what a search without matches would find without each of its terms, the most first."""
    if len(query.terms) < 2:
        return []
    found = [_widening(term, query.without(term), among) for term in query.terms[:MOST_WIDENINGS]]
    return sorted((one for one in found if one.total), key=lambda one: -one.total)


def _widening(term: Term, query: Query, among: EventQuerySet | None) -> Widening:
    counted = search.facets_of(query, among=among)
    return Widening(term, address(query), counted.total, count_of(counted))


@dataclass(frozen=True, slots=True)
class Row:
    """One event of the answer, its excerpt, and the words that were searched for."""

    event: models.Event
    url: str
    words: tuple[str, ...]
    excerpt: str
    begins_inside: bool
    goes_on: bool
    is_cut: bool


def rows(query: Query, page: search.ResultPage) -> list[Row]:
    """Return the events of the answer as they are shown."""
    return [_row(query, event, str(event.pk) in page.cut) for event in page.rows]


def mirrors_of(rows: Sequence[Row], using: str) -> Mirrors:
    """Return the sources that events come from: by their agents, and what users said by the sessions."""
    events = [row.event for row in rows]
    return mirrors(using, (event.actor_id for event in events), {event.session_id for event in events})


def _row(query: Query, event: Any, is_cut: bool) -> Row:
    excerpt, start = str(event.excerpt or ""), int(event.excerpt_start)
    end = start - 1 + len(excerpt.encode("utf-8", "surrogateescape"))
    url = f"{event.get_absolute_url()}{_words_of(query)}"
    return Row(event, url, query.words, excerpt, start > 1, end < int(event.size or 0), is_cut)


def _words_of(query: Query) -> str:
    """Return the query string by which an event's own page marks what was searched for, up to a few hundred letters."""
    text = str(Query(tuple(Term(search.TEXT, word) for word in query.words)))
    return f"?{urlencode({'q': text})}" if 0 < len(text) <= LONGEST_WORDS else ""


def words_in(text: str) -> tuple[str, ...]:
    """Return the words of a query, none where it is not understood."""
    try:
        return search.parse(text).words
    except search.QueryError:
        return ()


def now_text() -> str:
    """Return the present as file names have it."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
