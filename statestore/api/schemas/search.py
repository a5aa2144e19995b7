"""Search of events: facets, histogram, completion, saved searches."""

from typing import Annotated

from pydantic import BaseModel, Field

from statestore.api.schemas.common import QUERY_CHARACTERS, In, Out, Seconds, StoredSeconds, Time
from statestore.events.saved_searches import LONGEST_NAME
from statestore.search import LONGEST

QUERY_HELP = "As on the search page: words, `type:x`, `-actor:y`, `after:2h`."
Query = Annotated[str, Field(max_length=QUERY_CHARACTERS, description=QUERY_HELP)]
ViewId = Annotated[int, Field(ge=1, lt=2**63, description="Id of a saved search.")]


class FacetsIn(BaseModel):
    """A query; empty for all events."""

    q: Query = ""


class ValueCountOut(Out):
    """A value and its number of matches."""

    value: str
    count: int


class FacetsOut(Out):
    """The most common values of each filter, counted over the newest matches."""

    total: Annotated[int, Field(description="Number of matches counted.")]
    has_more: Annotated[bool, Field(description="Whether there are more matches, which were not counted.")]
    values: dict[str, list[ValueCountOut]]


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
    note: Annotated[str | None, Field(description="What the bars do not cover.")]


class CompleteIn(BaseModel):
    """The query so far and the position of the caret, by default at the end."""

    q: Annotated[str, Field(max_length=QUERY_CHARACTERS)] = ""
    caret: Annotated[int | None, Field(ge=0, le=QUERY_CHARACTERS, description="In characters.")] = None


class SuggestionOut(Out):
    """A completion: the query with it, and the new position of the caret."""

    label: str
    meaning: str
    text: str
    caret: int


class SuggestionsOut(Out):
    """Up to ten completions."""

    items: list[SuggestionOut]


class ViewIn(In):
    """A search to save."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")]
    q: Annotated[str, Field(max_length=LONGEST, description=QUERY_HELP)]


class ViewOut(Out):
    """A saved search."""

    id: int
    name: str
    q: str
    url: str
    page: str
