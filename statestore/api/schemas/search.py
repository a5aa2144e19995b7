"""Search in events: what stands around its answer; the queries that people keep."""

from typing import Annotated

from pydantic import BaseModel, Field

from statestore.api.schemas.common import QUERY_CHARACTERS, In, Out, Seconds, StoredSeconds, Time
from statestore.events.saved_searches import LONGEST_NAME
from statestore.search import limits

WORDS = "As on the search page: words, type:x, -actor:y, after:2h"
Query = Annotated[str, Field(max_length=QUERY_CHARACTERS, description=WORDS)]
ViewId = Annotated[int, Field(ge=1, lt=2**63, description="The number of a saved view.")]


class FacetsIn(BaseModel):
    """Of which events; of all where nothing is asked for."""

    q: Query = ""


class ValueCountOut(Out):
    """One value, and how often it occurs."""

    value: str
    count: int


class FacetsOut(Out):
    """The commonest values of each filter, over the newest matches."""

    total: Annotated[int, Field(description="How many matches were counted.")]
    has_more: Annotated[bool, Field(description="There are others, which were not counted.")]
    values: dict[str, list[ValueCountOut]]


class HistogramIn(BaseModel):
    """Of which events, over which stretch of time; an open end is where the first or the last match is."""

    q: Query = ""
    since: Annotated[Seconds | None, Field(description="From this second on.")] = None
    until: Annotated[Seconds | None, Field(description="Before this second.")] = None


class BarOut(Out):
    """How many matches there are from `start` up to, and without, `end`."""

    start: Time
    start_seconds: StoredSeconds
    end: Time
    end_seconds: StoredSeconds
    count: int
    is_estimate: bool


class HistogramOut(Out):
    """Matches over time, in bars of equal width."""

    bars: list[BarOut]
    note: Annotated[str | None, Field(description="What the bars do not cover.")]


class CompleteIn(BaseModel):
    """The text so far, and where in it somebody writes; at its end where that is not said."""

    q: Annotated[str, Field(max_length=QUERY_CHARACTERS)] = ""
    caret: Annotated[int | None, Field(ge=0, le=QUERY_CHARACTERS, description="In characters.")] = None


class SuggestionOut(Out):
    """One thing that could stand there: the whole text with it, and where writing goes on."""

    label: str
    meaning: str
    text: str
    caret: int


class SuggestionsOut(Out):
    """At most ten things."""

    items: list[SuggestionOut]


class ViewIn(In):
    """A query to keep under a name."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")]
    q: Annotated[str, Field(max_length=limits.QUERY_CHARACTERS, description=WORDS)]


class ViewOut(Out):
    """A query that somebody keeps."""

    id: int
    name: str
    q: str
    url: str
    page: str
