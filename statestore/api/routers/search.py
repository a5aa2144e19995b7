"""Around the results of a search: facets, histogram, completion."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import search
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.responses import answer
from statestore.api.schemas.search import (
    CompleteIn,
    FacetsIn,
    FacetsOut,
    HistogramIn,
    HistogramOut,
    SuggestionOut,
    SuggestionsOut,
)

calls = Calls("events")


def _within(request: HttpRequest) -> dict[str, Any]:
    """Return the events to search."""
    scope = caller(request).scope
    return {"using": scope.using, "among": scope.searched_events()}


@calls.call("GET", "/events/search/facets", {200: FacetsOut}, may="view_event")
def get_facets(request: HttpRequest, params: Query[FacetsIn]) -> HttpResponse:
    """Count the most common values of each filter among the newest matches of a query."""
    facets = search.facets_of(search.parse(params.q), **_within(request))
    values = {
        name: [{"value": value, "count": count} for value, count in pairs] for name, pairs in facets.values.items()
    }
    return answer(FacetsOut.of(facets, values=values))


@calls.call("GET", "/events/search/histogram", {200: HistogramOut}, may="view_event")
def get_histogram(request: HttpRequest, params: Query[HistogramIn]) -> HttpResponse:
    """Count the matches of a query over time."""
    histogram = search.histogram_of(search.parse(params.q), params.since, params.until, **_within(request))
    return answer(HistogramOut.of(histogram))


@calls.call("GET", "/events/search/complete", {200: SuggestionsOut}, may="view_event")
def complete_search(request: HttpRequest, params: Query[CompleteIn]) -> HttpResponse:
    """Suggest completions at the caret of a query: filter names, and values that occur."""
    caret = len(params.q) if params.caret is None else params.caret
    suggestions = search.complete(params.q, caret, **_within(request))
    return answer(SuggestionsOut(items=[SuggestionOut.of(suggestion) for suggestion in suggestions]))
