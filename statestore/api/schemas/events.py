"""Events."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from statestore.api import limits
from statestore.api.schemas.agents import Metadata
from statestore.api.schemas.common import Id, In, Out, PageIn, RowOut, Seconds, example
from statestore.api.schemas.fields import (
    Address,
    OptionalStoredText,
    Raw,
    Source,
    StoredSeconds,
    StoredText,
    Text,
    Time,
    api_url,
)

Word = Annotated[str, Field(min_length=1, max_length=200)]
ActorType = Literal["User", "Agent", "System"]


class EventsIn(PageIn):
    """Filters for events."""

    type: Annotated[str, Field(max_length=1000)] = ""
    session: Annotated[str, Field(max_length=1000)] = ""
    actor: Annotated[str, Field(max_length=1000)] = ""
    actor_type: ActorType | None = None
    commit: Annotated[str, Field(max_length=100, description="A commit hash or its beginning.")] = ""
    since: Annotated[Seconds | None, Field(description="Start, inclusive.")] = None
    until: Annotated[Seconds | None, Field(description="End, exclusive.")] = None


class SearchIn(PageIn):
    """A search query."""

    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=limits.QUERY_CHARACTERS,
            description="Words, `type:x`, `-actor:y`, `after:2h`.",
            examples=["type:error after:1d"],
        ),
    ]


_EVENT: Final[JsonDict] = {
    "event_type": "message", "session_id": "s1", "actor_type": "Agent", "actor_id": "coder-1", "content": "Done.",
}  # fmt: skip


class EventIn(In):
    """An event to save. An existing event with the same id is replaced."""

    model_config = example(_EVENT)

    id: Id | None = None
    event_type: Word
    timestamp: Annotated[Seconds | None, Field(description="Default: now.")] = None
    session_id: Id
    actor_type: ActorType
    actor_id: Id
    content: str
    metadata: Metadata = None
    git_commit: Annotated[str, Field(max_length=200)] | None = None


class EventOut(RowOut):
    """An event."""

    id: StoredText
    address: Address = Field(validation_alias="id")
    event_type: StoredText
    session_id: StoredText
    actor_type: StoredText
    actor_id: StoredText
    content: StoredText
    metadata: OptionalStoredText
    git_commit: OptionalStoredText
    timestamp: Time
    timestamp_seconds: StoredSeconds
    created_at: Time
    created_at_seconds: StoredSeconds
    url: Annotated[str, api_url("get_event")] = Field(validation_alias="id")
    raw: Raw = None


class ListedEventOut(EventOut):
    """An event of a list."""

    source: Source


class BatchIn(In):
    """Up to 10,000 events. They can also be sent as NDJSON, one per line."""

    model_config = example({"events": [_EVENT]})

    events: Annotated[list[object], Field(max_length=10_000, description="Each as in `POST /events`.")]
    all_or_nothing: bool = False


class BatchQueryIn(BaseModel):
    """Options of a batch."""

    all_or_nothing: bool = False


class RefusalOut(Out):
    """A rejected event; `position` counts from 0."""

    position: int
    reason: Text


class BatchOut(Out):
    """The ids in the order of the events, null for rejected ones."""

    saved: int
    ids: list[str | None]
    refused: list[RefusalOut]
