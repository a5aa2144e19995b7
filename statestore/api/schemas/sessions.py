"""Sessions."""

from typing import Annotated, Self

from ninja.params.functions import Body
from pydantic import Field

from statestore.api import serializers
from statestore.api.schemas.agents import Metadata
from statestore.api.schemas.common import ADDRESS, Id, In, Out, PageIn, RowOut, Seconds, example
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
from statestore.sessions import Listed

AgentAddress = Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class SessionsIn(PageIn):
    """Filters for sessions."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id.")] = ""
    agent: AgentAddress = ""
    open: Annotated[bool | None, Field(description="Only recorded sessions that are open, or that have ended.")] = None
    status: Annotated[str, Field(max_length=200)] = ""


class SessionPatchIn(In):
    """Changes of a session. Omitted fields keep their values."""

    model_config = example({"status": "completed"})

    agent_id: Id | None = None
    status: Word | None = None
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    metadata: Metadata = None


class SessionPutIn(SessionPatchIn):
    """A session to save. Omitted fields keep their values, or get their defaults."""

    model_config = example({"agent_id": "coder-1", "status": "active"})

    agent_id: Id


class SessionIn(In):
    """A session to start."""

    model_config = example({"agent_id": "coder-1"})

    id: Id | None = None
    agent_id: Id
    metadata: Metadata = None


class EndIn(In):
    """The status of an ended session."""

    model_config = example({"status": "completed"})

    status: Word = "completed"


# The default for a request without a body.
ENDED: EndIn = Body(EndIn())


class SessionOut(RowOut):
    """A session."""

    id: StoredText
    address: Address = Field(validation_alias="id")
    agent_id: Annotated[OptionalStoredText, Field(description="Null if no agent took part.")]
    status: StoredText
    started_at: Time
    started_at_seconds: StoredSeconds
    ended_at: Time
    ended_at_seconds: StoredSeconds
    metadata: OptionalStoredText
    is_recorded: Annotated[bool, Field(description="False if only events refer to it, which then give its times.")]
    url: Annotated[str, api_url("get_session")] = Field(validation_alias="id")
    raw: Raw = None

    @classmethod
    def of(cls, row: object, /, **values: object) -> Self:
        """Return the response for a recorded session."""
        return super().of(row, **{"is_recorded": True, **values})

    @classmethod
    def of_events(cls, session: Listed, /, **values: object) -> Self:
        """Return the response for a session that only events refer to."""
        raw = serializers.odd_bytes(session, ("session_id", "agent_id"))
        own = {"id": session.session_id, "agent_id": session.agent_id or None, "metadata": None, "raw": raw}
        return cls.of(session, **own, is_recorded=False, **values)


class ActorOut(Out):
    """A participant of a session and its number of counted events."""

    actor_type: Text
    actor_id: Text
    events: int


class ListedSessionOut(SessionOut):
    """A session with counts over its newest 200 events."""

    last_at: Annotated[Time, Field(description="Time of the last event; without events, of its end or start.")]
    last_at_seconds: StoredSeconds
    events: int
    has_more_events: bool
    took_part: list[ActorOut]
    source: Source

    @classmethod
    def of_listed(cls, session: Listed, source: str | None = None) -> Self:
        """Return the response for a session of a list, recorded or not."""
        tally = session.tally
        actors = [dict(zip(ActorOut.model_fields, actor, strict=True)) for actor in tally.actors]
        counts = {
            "last_at": session.last_at, "events": tally.events, "has_more_events": tally.is_more, "took_part": actors,
            "source": source,
        }  # fmt: skip
        return cls.of_events(session, **counts) if session.row is None else cls.of(session.row, **counts)
