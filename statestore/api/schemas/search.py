"""Search of events: facets, histogram, completion, saved searches."""

from typing import Annotated
from urllib.parse import urlencode

from django.urls import reverse
from pydantic import AfterValidator, BaseModel, Field

from statestore.api import limits
from statestore.api.schemas.common import In, Out, Seconds, example
from statestore.api.schemas.fields import StoredSeconds, Text, TextOrNull, Time, api_url
from statestore.events import limits as events_limits
from statestore.search import limits as search_limits

QUERY_HELP = "As on the search page: words, `type:x`, `-actor:y`, `after:2h`."
Query = Annotated[str, Field(max_length=limits.QUERY_CHARACTERS, description=QUERY_HELP)]
ViewId = Annotated[int, Field(ge=1, lt=2**63, description="Id of a saved search.")]


class FacetsIn(BaseModel):
    """A query; empty for all events."""

    q: Query = ""


class ValueCountOut(Out):
    """A value and its number of matches."""

    value: Text
    count: int


class FacetsOut(Out):
    """The most common values of each filter, counted over the newest matches."""

    total: Annotated[int, Field(description="Number of matches counted.")]
    has_more: Annotated[bool, Field(description="Whether there are more matches, which were not counted.")]
    values: Annotated[
        dict[str, list[ValueCountOut]],
        Field(description="By filter. `agent` has the agents that acted in the matches."),
    ]


class HistogramIn(BaseModel):
    """A query and a time range. An open end is the time of the first or last match."""

    q: Query = ""
    since: Annotated[Seconds | None, Field(description="Start, inclusive.")] = None
    until: Annotated[Seconds | None, Field(description="End, exclusive.")] = None


class BarOut(Out):
    """The number of matches from `start` (inclusive) to `end` (exclusive)."""

    start: Time
    start_seconds: StoredSeconds
    end: Time
    end_seconds: StoredSeconds
    count: int
    is_estimate: bool


class HistogramOut(Out):
    """Matches over time, in intervals of equal width."""

    bars: list[BarOut]
    note: Annotated[TextOrNull, Field(description="What the bars do not cover.")]


class CompleteIn(BaseModel):
    """The query so far and the position of the caret, by default at the end."""

    q: Annotated[str, Field(max_length=limits.QUERY_CHARACTERS)] = ""
    caret: Annotated[int | None, Field(ge=0, le=limits.QUERY_CHARACTERS, description="In characters.")] = None


class SuggestionOut(Out):
    """A completion: the query with it, and the new position of the caret."""

    label: Text
    meaning: str
    text: Text
    caret: int


class SuggestionsOut(Out):
    """Up to ten completions."""

    items: list[SuggestionOut]


class ViewIn(In):
    """A search to save."""

    model_config = example({"name": "Errors of today", "q": "type:error after:1d"})

    name: Annotated[str, Field(min_length=1, max_length=events_limits.NAME_CHARACTERS, pattern=r"\S")]
    q: Annotated[str, Field(max_length=search_limits.QUERY_CHARACTERS, description=QUERY_HELP)]


def _search_page(query: str) -> str:
    return f"{reverse('events')}?{urlencode({'q': query})}"


class ViewOut(Out):
    """A saved search."""

    id: int
    name: Text
    q: Text = Field(validation_alias="query")
    url: Annotated[str, api_url("get_view")] = Field(validation_alias="id")
    page: Annotated[Text, AfterValidator(_search_page)] = Field(validation_alias="query")
