"""What the search box of every page finds."""

from typing import Annotated, Self
from urllib.parse import urlencode

from django.urls import reverse
from pydantic import BaseModel, Field

from statestore.api import serializers
from statestore.api.schemas.common import Out, RowOut
from statestore.api.schemas.fields import Address, Raw, StoredSeconds, StoredText, Text, TextOrNull, Time
from statestore.db.ids import url_of
from statestore.lookup import Match, Matches
from statestore.lookup import limits as lookup_limits


class FindIn(BaseModel):
    """A name or an id."""

    q: Annotated[str, Field(max_length=lookup_limits.TEXT_CHARACTERS, description="Part of a name, or an id.")] = ""


class MatchOut(RowOut):
    """A row that was found."""

    id: StoredText = Field(validation_alias="row_id")
    address: Address = Field(validation_alias="row_id")
    title: Text
    note: TextOrNull
    status: TextOrNull
    at: Annotated[Time, Field(description="When it was made, or changed last.")]
    at_seconds: StoredSeconds
    url: Annotated[str, Field(description="The call that reads it; of a commit, its events.")]
    page: str
    raw: Raw = None


class MatchesOut(Out):
    """What was found of one kind. With `has_more`, there are more than these."""

    kind: str
    items: list[MatchOut]
    has_more: bool

    @classmethod
    def of_kind(cls, matches: Matches) -> Self:
        """Return the response for one kind."""
        items = [MatchOut.of(match, url=_url(matches.kind, match)) for match in matches.rows]
        return cls(kind=matches.kind, items=items, has_more=matches.has_more)


class FoundOut(Out):
    """What was found, the kind with that very id first; kinds without a match are left out."""

    kinds: list[MatchesOut]


_CALLS = {"plan": "get_restore", "saved_search": "get_view"}


def _url(kind: str, match: Match) -> str:
    if kind == "commit":
        return f"{reverse('api:list_events')}?{urlencode({'commit': serializers.text(match.row_id)})}"
    url = url_of(f"api:{_CALLS.get(kind, f'get_{kind}')}", match.row_id)
    return f"{url}?trash=true" if match.is_in_trash else url
