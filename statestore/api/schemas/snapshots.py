"""Snapshots."""

from typing import Annotated, Any

from ninja.params.functions import Body
from pydantic import Field

from statestore.api.schemas.common import In, Out, Raw, Seconds, StoredSeconds, Time


class SnapshotRowOut(Out):
    """A snapshot without its state."""

    id: str
    address: str
    agent_id: str
    description: str | None
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    size: int | None
    url: str
    page: str
    raw: Raw


class SnapshotOut(SnapshotRowOut):
    """A snapshot with its state."""

    etag: str
    state_data: str
    state: Any


class NewSnapshotOut(SnapshotRowOut):
    """A new snapshot."""

    etag: str


class SnapshotIn(In):
    """A snapshot to take."""

    description: Annotated[str, Field(max_length=500)] = ""
    expires_at: Annotated[Seconds | None, Field(description="Null: never.")] = None


PLAIN_SNAPSHOT: Any = Body(SnapshotIn())


class DeletedOut(Out):
    """The number of deleted rows."""

    deleted: int
