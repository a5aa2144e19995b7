"""What stands around the answer of a search: facets, the histogram, what the box offers."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import search
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.responses import answer
from statestore.api.schemas.search import CompleteIn, FacetsIn, FacetsOut, HistogramIn, HistogramOut, SuggestionsOut

calls = Calls("events")


def _within(request: HttpRequest) -> dict[str, Any]:
    """Return among which events is searched: the index knows no namespaces, within them their events are read."""
    scope = caller(request).scope
    return {"using": scope.using, "among": None if scope.is_unrestricted else scope.events()}


@calls.call("GET", "/events/search/facets", {200: FacetsOut}, may="view_event")
def get_facets(request: HttpRequest, asked: Query[FacetsIn]) -> HttpResponse:
    """Tell how often each value occurs among the newest events that a query finds."""
    found = search.facets_of(search.parse(asked.q), **_within(request))
    values = {
        name: [{"value": serializers.text(value), "count": count} for value, count in pairs]
        for name, pairs in found.values.items()
    }
    return answer({"total": found.total, "has_more": found.has_more, "values": values})


@calls.call("GET", "/events/search/histogram", {200: HistogramOut}, may="view_event")
def get_histogram(request: HttpRequest, asked: Query[HistogramIn]) -> HttpResponse:
    """Tell how the events that a query finds spread over time."""
    found = search.histogram_of(search.parse(asked.q), asked.since, asked.until, **_within(request))
    bars = [{**serializers.times(bar, "start", "end"), "count": bar.count, "is_estimate": bar.is_estimate}
            for bar in found.bars]  # fmt: skip
    return answer({"bars": bars, "note": found.note or None})


@calls.call("GET", "/events/search/complete", {200: SuggestionsOut}, may="view_event")
def complete_search(request: HttpRequest, asked: Query[CompleteIn]) -> HttpResponse:
    """Offer what could stand at the caret of a query: names of filters, and values that there are."""
    caret = len(asked.q) if asked.caret is None else asked.caret
    offered = search.complete(asked.q, caret, **_within(request))
    items = [
        {
            "label": serializers.text(one.label),
            "meaning": one.meaning,
            "text": serializers.text(one.text),
            "caret": one.caret,
        }
        for one in offered
    ]
    return answer({"items": items})
