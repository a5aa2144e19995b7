"""Sources."""

from typing import Annotated

from pydantic import Field

from statestore.api.schemas.common import Out
from statestore.api.schemas.fields import Text


class SourceOut(Out):
    """A store of another framework that is mirrored. Its name is the namespace of its agents."""

    name: Text
    path: Text
    formats: Annotated[Text, Field(description="What it holds, as its readers call it.")]
    counts: Annotated[dict[str, int], Field(description="How many there are of what it holds.")]
    agents: int
    gone: Annotated[int, Field(description="Of these, how many their framework has deleted.")]
    synced_at: Annotated[int | None, Field(description="When it was read last.")]
    problem: Annotated[Text, Field(description="Why it cannot be read; empty if it can.")]


class SourcesOut(Out):
    """All sources, by name."""

    items: list[SourceOut]
