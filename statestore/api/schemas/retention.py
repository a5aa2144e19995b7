"""Retention policies, what they would delete, and holds."""

from typing import Annotated, Literal

from pydantic import Field

from statestore.access.rights import NAMESPACE_CHARACTERS
from statestore.api.schemas.common import Id, In, Out, Reason, RowOut, example
from statestore.api.schemas.fields import (
    Address,
    Flag,
    OptionalText,
    StoredSeconds,
    Text,
    Time,
    api_url,
    page_url,
)

Table = Literal["snapshots", "transitions", "events", "audit log"]
_Positive = Annotated[int, Field(ge=1, lt=2**62)]


class PolicyIn(In):
    """A policy to make. Each limit that is set deletes by itself; at least one is needed."""

    model_config = example({"table": "snapshots", "namespace": "build", "keep_count": 100})

    table: Table
    namespace: Annotated[
        str | None,
        Field(
            max_length=NAMESPACE_CHARACTERS,
            description="Null for all that have no policy of their own; empty for agents without a namespace.",
        ),
    ] = None
    keep_seconds: Annotated[_Positive | None, Field(description="Delete what is older.")] = None
    keep_count: Annotated[_Positive | None, Field(description="Keep so many of an agent's newest.")] = None
    keep_bytes: Annotated[_Positive | None, Field(description="Keep an agent's newest up to so many bytes.")] = None
    is_tiered: Annotated[
        bool, Field(description="Keep all of a day, one an hour for a week, a day for a month, a week for a year.")
    ] = False


class PolicyPatchIn(In):
    """A switch, or other limits. Limits that are not given stay; changed ones switch the policy off."""

    model_config = example({"is_on": False})

    is_on: bool | None = None
    keep_seconds: Annotated[_Positive | None, Field(description="Delete what is older; null sets no limit.")] = None
    keep_count: Annotated[_Positive | None, Field(description="Keep so many of an agent's newest.")] = None
    keep_bytes: Annotated[_Positive | None, Field(description="Keep an agent's newest up to so many bytes.")] = None
    is_tiered: bool = False
    would_delete: Annotated[
        int | None, Field(ge=0, lt=2**62, description="The rows that the simulation showed, for the audit log.")
    ] = None


class PolicyOut(RowOut):
    """A retention policy."""

    id: Text
    address: Address = Field(validation_alias="id")
    table: Text
    namespace: OptionalText
    # Not the time `keep`, as the suffix would say.
    keep_seconds: int | None = Field(validation_alias="keep_seconds")
    keep_count: int | None
    keep_bytes: int | None
    is_tiered: Flag
    is_on: Flag
    created_at: Time
    created_at_seconds: StoredSeconds
    actor: Text
    url: Annotated[str, api_url("get_policy")] = Field(validation_alias="id")
    page: Annotated[str | None, Field(description="Null if the id is not a UUID.")]
    etag: str


class LossOut(Out):
    """What one agent would lose."""

    agent_id: Text
    agent_address: Address = Field(validation_alias="agent_id")
    rows: int
    bytes: int
    first_at: Time
    first_at_seconds: StoredSeconds
    last_at: Time
    last_at_seconds: StoredSeconds
    restore_points_left: Annotated[int | None, Field(description="Snapshots that stay; null of other tables.")]
    page: Annotated[str, page_url("agent")] = Field(validation_alias="agent_id")


class SimulationOut(Out):
    """What a policy would delete now."""

    rows: int
    bytes: int
    agents: int
    looked_at: Annotated[int, Field(description="Agents that were looked at.")]
    is_complete: Annotated[bool, Field(description="False if the time was up: more may go.")]
    largest: Annotated[list[LossOut], Field(description="Up to 100 agents that lose most.")]


Noun = Literal["agent", "snapshot", "restore"]


class HoldIn(In):
    """What nothing shall delete: an agent with all its records, a snapshot, or a restore."""

    model_config = example({"noun": "agent", "id": "coder-1", "reason": "incident 7"})

    noun: Noun
    id: Id
    reason: Reason = ""


class HoldOut(Out):
    """A hold."""

    noun: Text
    row_id: Text
    row_address: Address = Field(validation_alias="row_id")
    at: Time
    at_seconds: StoredSeconds
    actor: Text
    reason: Text
