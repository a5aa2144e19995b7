"""Export and import."""

from typing import Annotated

from pydantic import BaseModel, Field

from statestore.api.schemas.common import ADDRESS, Out
from statestore.api.schemas.fields import Text, TextOrNull


class ExportIn(BaseModel):
    """What to export."""

    namespace: Annotated[str | None, Field(max_length=1000, description="Empty: agents without a namespace.")] = None
    agent: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of a single agent.")] = ""
    tables: Annotated[str, Field(max_length=500, pattern="^[a-z_,]*$", description="Only these, comma-separated.")] = ""
    audit: Annotated[bool, Field(description="Include the audit log, which an import ignores.")] = False


class ImportIn(BaseModel):
    """Options of an import."""

    dry_run: Annotated[bool, Field(description="Report what would change without writing.")] = False


class RefusedLineOut(Out):
    """A rejected line, counted from 1."""

    line: int
    reason: Text


class ImportOut(Out):
    """The result of an import."""

    dry_run: bool
    is_complete: Annotated[bool, Field(description="Whether the last line proved that no row is missing.")]
    problem: TextOrNull
    inserted: dict[str, int]
    updated: dict[str, int]
    refused_count: int
    refused: list[RefusedLineOut]
    skipped_audit: int
    normalised: Annotated[
        int,
        Field(description="Times that were text: PostgreSQL stores them as numbers, an export writes them as text."),
    ]
