"""Export and import."""

from typing import Annotated

from pydantic import BaseModel, Field

from statestore.api.schemas.common import ADDRESS, Out


class ExportIn(BaseModel):
    """What of the store."""

    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: of agents without one.")] = None
    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Of one agent only.")] = ""
    tables: Annotated[str, Field(max_length=500, pattern="^[a-z_,]*$", description="Only these, with commas.")] = ""
    audit: Annotated[bool, Field(description="With the audit log, which no import takes.")] = False


class ImportIn(BaseModel):
    """How."""

    dry_run: bool = False


class RefusedLineOut(Out):
    """A line that was left out; counted from 1."""

    line: int
    reason: str


class ImportOut(Out):
    """What became of an import."""

    dry_run: bool
    is_complete: Annotated[bool, Field(description="The last line proved that none is missing.")]
    problem: str | None
    inserted: dict[str, int]
    updated: dict[str, int]
    refused_count: int
    refused: list[RefusedLineOut]
    skipped_audit: int
    normalised: Annotated[
        int,
        Field(description="Times kept as text, which PostgreSQL holds as numbers and an export gives back as text."),
    ]
