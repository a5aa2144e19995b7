"""Sources."""

from typing import Annotated

from pydantic import Field

from statestore.api.schemas.common import In, Out, example
from statestore.api.schemas.fields import Text


class SourceIn(In):
    """A file or a database to mirror."""

    model_config = In.model_config | example({"path": "/srv/agents/checkpoints.sqlite"})

    path: Annotated[str, Field(
        min_length=1, max_length=4_096,
        description="Within one of SOURCE_DIRS; absolute. Or a PostgreSQL database's URL, on one of SOURCE_SERVERS.",
    )]  # fmt: skip


class SourceOut(Out):
    """A store of another framework that is mirrored. Its name is the namespace of its agents."""

    id: int
    name: Text
    path: Annotated[Text, Field(description="Where the file is; empty for an upload.")]
    upload: Annotated[Text, Field(description="What an uploaded file was called; empty for others.")]
    formats: Annotated[Text, Field(description="What it holds, as its readers call it.")]
    counts: Annotated[dict[str, int], Field(description="How many there are of what it holds.")]
    agents: int
    gone: Annotated[int, Field(description="Of these, how many their framework has deleted.")]
    is_being_written: Annotated[bool, Field(description="Whether the file changed within the last seconds.")]
    synced_at: Annotated[int | None, Field(description="When it was read last.")]
    problem: Annotated[Text, Field(description="Why it cannot be read; empty if it can.")]


class SourcesOut(Out):
    """All sources, by name."""

    items: list[SourceOut]
