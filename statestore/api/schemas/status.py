"""The store: audit log, health, migrations; the caller."""

from typing import Annotated, Literal

from pydantic import Field

from statestore.api.schemas.common import ADDRESS, Out, PageIn, StoredSeconds, Time


class AuditIn(PageIn):
    """Filters for audit entries."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of the affected row.")] = ""
    verb: Annotated[str, Field(max_length=40)] = ""


class AuditOut(Out):
    """An audit entry: an action of a user."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: str
    address: str
    verb: str
    noun: str
    row_id: str
    row_address: str
    hash_before: str | None
    hash_after: str | None
    detail: str | None


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
    agents: dict[str, int]
    findings: list[FindingOut]


class MigrationOut(Out):
    """A migration of the orchestrator."""

    version: int | None
    name: str
    description: str | None
    applied_at: Time
    applied_at_seconds: StoredSeconds


class MeOut(Out):
    """The authenticated user and token, and their permissions."""

    user: str
    token: str | None
    scopes: list[str] | None
    namespaces: list[str] | None
    permissions: list[str]
