"""Snapshots."""

from typing import Annotated

from ninja.params.functions import Body
from pydantic import AliasChoices, Field

from statestore.api.schemas.common import In, Out, RowOut, Seconds, example
from statestore.api.schemas.fields import (
    Address,
    OptionalStoredText,
    Raw,
    Size,
    StoredJson,
    StoredSeconds,
    StoredText,
    Time,
    api_url,
    page_url,
)


class SnapshotRowOut(RowOut):
    """A snapshot without its state."""

    id: StoredText
    address: Address = Field(validation_alias="id")
    agent_id: StoredText
    description: OptionalStoredText
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    size: Size = Field(validation_alias=AliasChoices("size", "state_data"))
    url: Annotated[str, api_url("get_snapshot")] = Field(validation_alias="id")
    page: Annotated[str, page_url("snapshot")] = Field(validation_alias="id")
    raw: Raw = None


class SnapshotOut(SnapshotRowOut):
    """A snapshot with its state."""

    etag: str
    state_data: StoredText
    state: StoredJson = Field(validation_alias="state_data")


class NewSnapshotOut(SnapshotRowOut):
    """A new snapshot."""

    etag: str


class SnapshotIn(In):
    """A snapshot to take."""

    model_config = example({"description": "before refactor"})

    description: Annotated[str, Field(max_length=500)] = ""
    expires_at: Annotated[Seconds | None, Field(description="Null: never.")] = None


PLAIN_SNAPSHOT: SnapshotIn = Body(SnapshotIn())


class DeletedOut(Out):
    """The number of deleted rows."""

    deleted: int
