"""The store: audit log, health, migrations; the caller."""

from typing import Annotated, Literal

from pydantic import Field

from statestore.api.schemas.common import ADDRESS, Out, PageIn, Seconds
from statestore.api.schemas.fields import (
    Address,
    ChangedColumns,
    Integer,
    OptionalText,
    StoredSeconds,
    Text,
    TextOrNull,
    Time,
)  # fmt: skip


class AuditIn(PageIn):
    """Filters for audit entries."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of the affected row.")] = ""
    verb: Annotated[str, Field(max_length=40)] = ""
    person: Annotated[str, Field(max_length=200, description="Who did it, by name.")] = ""
    start: Seconds | None = None
    end: Seconds | None = None


class AuditOut(Out):
    """An audit entry: an action of a user."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: Text
    address: Text = Field(validation_alias="ip_address")
    verb: str = Field(validation_alias="action")
    noun: str
    row_id: Text
    row_address: Address = Field(validation_alias="row_id")
    summary: Annotated[Text, Field(description="The entry as one sentence.")]
    hash_before: TextOrNull
    hash_after: TextOrNull
    before: ChangedColumns
    after: ChangedColumns
    reverts: Annotated[int | None, Field(description="Id of the entry that this one undid.")]
    detail: TextOrNull


class FindingOut(Out):
    """A health check result."""

    level: Literal["ok", "warn", "error"]
    title: str
    meaning: str
    remedy: str


class HealthOut(Out):
    """The health of the store."""

    ready: bool
    store: str
    agents: dict[Text, int]
    findings: list[FindingOut]


class MigrationOut(Out):
    """A migration of the orchestrator."""

    version: Integer
    name: Text
    description: OptionalText
    applied_at: Time
    applied_at_seconds: StoredSeconds


class ProcessOut(Out):
    """An agent that `descartes ps` lists."""

    id: Text
    name: Text
    status: Text
    model_backend: Text
    started_at: Time
    started_at_seconds: StoredSeconds
    completed_at: Time
    completed_at_seconds: StoredSeconds
    task: Text


class MeOut(Out):
    """The authenticated user and token, and their permissions."""

    user: str
    token: str | None
    scopes: list[str] | None
    namespaces: list[str] | None
    permissions: list[str]
