"""Agents."""

from typing import Annotated, Literal, Self

from ninja.params.functions import Body
from pydantic import AliasChoices, BaseModel, Field, field_validator, model_validator

from statestore.api.schemas.common import Id, In, Integer32, InTrashIn, Out, PageIn, Reason, RowOut, example
from statestore.api.schemas.fields import (
    Address,
    Flag,
    Integer,
    Raw,
    Size,
    Source,
    StoredJson,
    StoredSeconds,
    StoredText,
    Text,
    Time,
    api_url,
    page_url,
)
from statestore.cases import limits
from statestore.models import AgentState, AgentStatus

Status = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"\S",
        description=f"Usually one of {', '.join(AgentStatus.values)}.",
        json_schema_extra={"examples": list(AgentStatus.values)},
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=500)]
State = Annotated[object, Field(description="Any JSON value. Stored exactly as sent, literals included.")]
StateData = Annotated[str, Field(description="The state as text, stored byte for byte. Use instead of `state`.")]
Metadata = Annotated[object, Field(description="JSON, or a string that is JSON and is stored as it is.")]
Moment = Annotated[
    str,
    Field(
        min_length=3,
        max_length=1500,
        description="`now`, `snapshot:ID`, `transition:ID:before`, `transition:ID:after`, `at:TIME`; ids as in paths.",
    ),
]


class AgentsIn(PageIn):
    """Filters for agents."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the name.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: agents without a namespace.")] = None
    trash: Annotated[bool, Field(description="List the agents in the trash instead.")] = False
    sort: Literal["changed", "oldest", "created", "id"] = "changed"


class CaseIn(InTrashIn):
    """What goes into a case."""

    state: Annotated[bool, Field(description="The state as text.")] = True
    conversation: Annotated[bool, Field(description="The messages in the state.")] = True
    transitions: Annotated[
        int, Field(ge=0, le=limits.MOST_TRANSITIONS, description="How many of the newest, with their differences.")
    ] = limits.TRANSITIONS
    events: Annotated[
        int, Field(ge=0, le=limits.MOST_EVENTS, description="How many of the newest of its sessions.")
    ] = 0


class AgentColumnsIn(In):
    """An agent's fields. Omitted fields keep their values."""

    name: Name | None = None
    status: Status | None = None
    metadata: Metadata = None
    version: Integer32 | None = None
    reason: Reason | None = None
    state: State = None
    state_data: StateData | None = None

    @field_validator("name", "status", "version", "metadata", "state_data", mode="before")
    @classmethod
    def _is_given(cls, value: object) -> object:
        if value is None:
            raise ValueError("Null is not allowed; omit the field to keep its value")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> "AgentColumnsIn":
        if self.state_data is not None and "state" in self.model_fields_set:
            raise ValueError("Send state or state_data, not both")
        return self

    @property
    def has_state(self) -> bool:
        """Whether a state was sent; null is a state."""
        return self.state_data is not None or "state" in self.model_fields_set


class AgentPatchIn(AgentColumnsIn):
    """Changes of an agent. Omitted fields keep their values."""

    model_config = example({"status": "paused", "reason": "lunch"})

    @model_validator(mode="after")
    def _has_change(self) -> "AgentPatchIn":
        if not self.model_fields_set - {"reason"}:
            raise ValueError("Send at least one field to change")
        return self


class AgentIn(AgentColumnsIn):
    """An agent to save: its state, and other fields to change."""

    model_config = example(
        {"state": {"plan": {"goal": "Refactor the parser"}}, "status": "running", "reason": "started"}
    )

    namespace: Annotated[str, Field(max_length=500, description="Namespace of a new agent.")] | None = None

    @model_validator(mode="after")
    def _has_state(self) -> "AgentIn":
        if not self.has_state:
            raise ValueError("Send state or state_data")
        return self


class AgentRowOut(RowOut):
    """An agent without its state."""

    id: StoredText = Field(validation_alias="agent_id")
    address: Address = Field(validation_alias="agent_id")
    name: StoredText
    status: StoredText
    namespace: Text
    version: Integer
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    in_trash: Flag = Field(validation_alias="is_deleted")
    size: Size = Field(validation_alias=AliasChoices("size", "state_data"))
    url: Annotated[str, api_url("get_agent")] = Field(validation_alias="agent_id")
    page: Annotated[str, page_url("agent")] = Field(validation_alias="agent_id")
    raw: Raw = None

    @classmethod
    def of(cls, row: AgentState, /, **values: object) -> Self:
        """Return the response for an agent. In the trash its URL finds it there."""
        agent = super().of(row, **values)
        if agent.in_trash:
            agent.url += "?trash=true"
        return agent


class ListedAgentOut(AgentRowOut):
    """An agent of a list, without its state."""

    source: Source


class TombstoneOut(Out):
    """Who moved the agent to the trash, when and why. Kept when an orchestrator saves the agent again."""

    actor: Text
    reason: Text
    at: Time
    at_seconds: StoredSeconds


class AgentOut(AgentRowOut):
    """An agent with its state: `state_data` is the stored text, `state` the value if it is JSON of up to 8 MB."""

    etag: str
    metadata: StoredText
    state_data: StoredText
    state: StoredJson = Field(validation_alias="state_data")
    tombstone: TombstoneOut | None


class SavedOut(AgentRowOut):
    """An agent after a write. `transition_id` is set if its state changed or a reason was given."""

    etag: str
    transition_id: str | None


class TrashIn(BaseModel):
    """The reason; a query parameter, because some HTTP clients send no body with DELETE."""

    reason: Reason = ""


class ReasonIn(In):
    """The reason."""

    model_config = example({"reason": "bad deploy"})

    reason: Reason = ""


# The default for a request without a body.
NO_REASON: ReasonIn = Body(ReasonIn())


class ForkIn(In):
    """A new agent with the state of a moment."""

    model_config = example({"agent_id": "coder-1-fork", "moment": "now", "reason": "try another plan"})

    agent_id: Id
    moment: Moment = "now"
    name: Annotated[str, Field(max_length=500)] = ""
    reason: Reason = ""
    in_source: Annotated[bool, Field(description="Of a mirrored agent: a new thread in its framework's own store.")] = (
        False
    )
