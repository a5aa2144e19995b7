"""Agents and what can be done to them."""

from typing import Annotated, Any, Literal

from ninja.params.functions import Body
from pydantic import BaseModel, Field, field_validator, model_validator

from statestore.api.schemas.common import Id, In, Out, PageIn, Raw, Reason, Stored, StoredSeconds, Time

Status = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, max_length=500)]
State = Annotated[Any, Field(description="A JSON value; it is stored as it was sent, literal by literal.")]
StateData = Annotated[str, Field(description="The state as text, stored byte for byte; instead of `state`.")]
Metadata = Annotated[Any, Field(description="JSON, or a text that is stored as it is.")]
Moment = Annotated[
    str,
    Field(
        min_length=3,
        max_length=1500,
        description="now, snapshot:ID, transition:ID:before, transition:ID:after or at:TIME; ids as in paths.",
    ),
]


class AgentsIn(PageIn):
    """Which agents."""

    q: Annotated[str, Field(max_length=200, description="Text in the id or the name.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: those without one.")] = None
    trash: Annotated[bool, Field(description="Those in the trash instead.")] = False
    sort: Literal["changed", "oldest", "created", "id"] = "changed"


class AgentColumnsIn(In):
    """What an agent has; what is not given stays as it is."""

    name: Name | None = None
    status: Status | None = None
    metadata: Metadata = None
    version: Stored | None = None
    reason: Reason | None = None
    state: State = None
    state_data: StateData | None = None

    @field_validator("name", "status", "version", "metadata", "state_data", mode="before")
    @classmethod
    def _is_given(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("Null is no value of it; leave it out to keep what there is")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> "AgentColumnsIn":
        if self.state_data is not None and "state" in self.model_fields_set:
            raise ValueError("Send state or state_data, not both")
        return self

    @property
    def has_state(self) -> bool:
        """Whether a state was sent, be it null."""
        return self.state_data is not None or "state" in self.model_fields_set


class AgentPatchIn(AgentColumnsIn):
    """What changes of an agent; what is not given stays as it is."""

    @model_validator(mode="after")
    def _has_something(self) -> "AgentPatchIn":
        if not self.model_fields_set - {"reason"}:
            raise ValueError("Send something to change")
        return self


class AgentIn(AgentColumnsIn):
    """An agent as an orchestrator saves it: its state, and what else changes."""

    namespace: Annotated[str, Field(max_length=500, description="Of a new agent.")] | None = None

    @model_validator(mode="after")
    def _has_state(self) -> "AgentIn":
        if not self.has_state:
            raise ValueError("Send a state, or state_data")
        return self


class AgentRowOut(Out):
    """An agent without its state."""

    id: str
    address: Annotated[str, Field(description="The id as it stands in paths.")]
    name: str
    status: str
    namespace: str
    version: int | None
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    in_trash: bool
    size: Annotated[int | None, Field(description="Bytes of the state.")]
    url: str
    page: str
    raw: Raw


class TombstoneOut(Out):
    """Who moved the agent to the trash. Where the agent is not in the trash: its orchestrator has saved it again."""

    actor: str
    reason: str
    at: Time
    at_seconds: StoredSeconds


class AgentOut(AgentRowOut):
    """An agent with its state: the stored text, and the value where it is JSON of up to 8 MB."""

    etag: str
    metadata: str
    state_data: str
    state: Any
    tombstone: TombstoneOut | None


class SavedOut(AgentRowOut):
    """An agent after a write, and the transition that records it, where its state changed or a reason was given."""

    etag: str
    transition_id: str | None


class TrashIn(BaseModel):
    """Why; in the query, since some programs send no body with DELETE."""

    reason: Reason = ""


class ReasonIn(In):
    """Why."""

    reason: Reason = ""


# What is meant where no body is sent.
NO_REASON: Any = Body(ReasonIn())


class ForkIn(In):
    """A new agent that begins with the state of a moment."""

    agent_id: Id
    moment: Moment = "now"
    name: Annotated[str, Field(max_length=500)] = ""
    reason: Reason = ""
