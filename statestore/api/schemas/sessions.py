"""Sessions."""

from typing import Annotated, Any

from ninja.params.functions import Body
from pydantic import Field

from statestore.api.schemas.common import ADDRESS, Id, In, Out, PageIn, Raw, Seconds, StoredSeconds, Time

Address = Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of an agent.")]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class SessionsIn(PageIn):
    """Filters for sessions."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id.")] = ""
    agent: Address = ""
    open: Annotated[bool | None, Field(description="Only recorded sessions that are open, or that have ended.")] = None
    status: Annotated[str, Field(max_length=200)] = ""


class SessionPatchIn(In):
    """Changes of a session. Omitted fields keep their values."""

    agent_id: Id | None = None
    status: Word | None = None
    started_at: Seconds | None = None
    ended_at: Seconds | None = None
    metadata: Any = None


class SessionPutIn(SessionPatchIn):
    """A session to save. Omitted fields keep their values, or get their defaults."""

    agent_id: Id


class SessionIn(In):
    """A session to start."""

    id: Id | None = None
    agent_id: Id
    metadata: Any = None


class EndIn(In):
    """The status of an ended session."""

    status: Word = "completed"


# The default for a request without a body.
ENDED: Any = Body(EndIn())


class SessionOut(Out):
    """A session."""

    id: str
    address: str
    agent_id: Annotated[str | None, Field(description="Null if no agent took part.")]
    status: str
    started_at: Time
    started_at_seconds: StoredSeconds
    ended_at: Time
    ended_at_seconds: StoredSeconds
    metadata: str | None
    is_recorded: Annotated[bool, Field(description="False if only events refer to it, which then give its times.")]
    url: str
    raw: Raw


class ActorOut(Out):
    """A participant of a session and its number of counted events."""

    actor_type: str
    actor_id: str
    events: int


class ListedSessionOut(SessionOut):
    """A session with counts over its newest 200 events."""

    last_at: Annotated[Time, Field(description="Time of the last event; without events, of its end or start.")]
    last_at_seconds: StoredSeconds
    events: int
    has_more_events: bool
    took_part: list[ActorOut]
