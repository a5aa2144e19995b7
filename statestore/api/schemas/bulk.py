"""Bulk actions on agents."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from statestore.agents import limits as agents_limits
from statestore.api.schemas.agents import Status
from statestore.api.schemas.common import ADDRESS, In, Out, Reason, example
from statestore.api.schemas.fields import Address, OptionalText, Text, TextOrNull

Agents = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=1500, pattern=ADDRESS)]],
    Field(min_length=1, max_length=agents_limits.BULK_AGENTS, description="Addresses of agents."),
]


class BulkSnapshotIn(In):
    """Agents to take snapshots of."""

    model_config = example({"agents": ["coder-1", "coder-2"]})

    agents: Agents
    description: Annotated[str, Field(max_length=500)] = ""


class BulkStatusIn(In):
    """Agents and their new status."""

    model_config = example({"agents": ["coder-1", "coder-2"], "status": "paused", "reason": "bad deploy"})

    agents: Agents
    status: Status
    reason: Reason = ""


class OutcomeOut(Out):
    """The outcome for one agent."""

    agent_id: Text
    address: Address = Field(validation_alias="agent_id")
    made: Annotated[
        OptionalText,
        BeforeValidator(lambda row: None if row is None else row.pk),
        Field(description="Id of the snapshot or transition; null if nothing changed."),
    ]
    refused: Annotated[TextOrNull, Field(description="Why the agent was skipped.")] = Field(validation_alias="refusal")


class BulkOut(Out):
    """The number of agents without an error, and the outcome for each agent."""

    done: int
    items: list[OutcomeOut]
