"""Upkeep: what housekeeping did, backups, the chain of the audit log."""

from typing import Annotated

from pydantic import Field

from statestore.api.schemas.common import Out
from statestore.api.schemas.fields import StoredSeconds, Text, TextOrNull, Time


class RunOut(Out):
    """One piece of housekeeping."""

    id: int
    work: Text
    about: Annotated[TextOrNull, Field(description="The policy, or the backup.")]
    started_at: Time
    started_at_seconds: StoredSeconds
    ended_at: Time
    ended_at_seconds: StoredSeconds
    rows: int
    bytes: int
    problem: TextOrNull


class CheckOut(Out):
    """When a backup was opened and compared, or restored into a scratch file."""

    at: str
    problems: list[Text]


class BackupFileOut(Out):
    """One database in a backup."""

    name: Text
    database: Annotated[Text, Field(description="store, dashboard, or both.")]
    kind: Text
    bytes: int
    unpacked_bytes: int
    sha256: str


class BackupOut(Out):
    """A backup. `is_good`: it was opened and compared, and nothing was wrong."""

    name: str
    made_at: Time
    made_at_seconds: StoredSeconds
    bytes: int
    is_good: bool
    fault: Annotated[TextOrNull, Field(description="Why its manifest cannot be read.")]
    verified: CheckOut | None
    drilled: CheckOut | None
    files: list[BackupFileOut]


class FaultOut(Out):
    """Something that the chain proves to be wrong."""

    entry_id: int | None
    text: Text


class VerificationOut(Out):
    """What a walk along the chain of the audit log found."""

    is_good: bool
    is_complete: Annotated[bool, Field(description="False if 20 s did not suffice: `verify` walks the whole chain.")]
    entries: int
    older: Annotated[int, Field(description="Entries from before there was a chain.")]
    vouched: Annotated[int, Field(description="Restores and archive frames that entries vouch for.")]
    fault_count: int
    faults: Annotated[list[FaultOut], Field(description="The first 1,000.")]
