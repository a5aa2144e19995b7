"""One thing done to each of many agents."""

from typing import Annotated

from pydantic import Field

from statestore.agents.bulk import MAX_AGENTS
from statestore.api.schemas.agents import Status
from statestore.api.schemas.common import ADDRESS, In, Out, Reason

Agents = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=1500, pattern=ADDRESS)]],
    Field(min_length=1, max_length=MAX_AGENTS, description="Addresses of agents."),
]


class BulkSnapshotIn(In):
    """Of which agents."""

    agents: Agents
    description: Annotated[str, Field(max_length=500)] = ""


class BulkStatusIn(In):
    """Which status, for which agents."""

    agents: Agents
    status: Status
    reason: Reason = ""


class OutcomeOut(Out):
    """What became of one agent."""

    agent_id: str
    address: str
    made: Annotated[str | None, Field(description="The snapshot or the transition; null where it was so already.")]
    refused: Annotated[str | None, Field(description="Why it was not done to this one.")]


class BulkOut(Out):
    """To how many agents it was done, and what became of each."""

    done: int
    items: list[OutcomeOut]
