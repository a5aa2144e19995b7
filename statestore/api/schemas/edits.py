"""Edits of tasks and sessions."""

from typing import Annotated, Any, Literal

from pydantic import Field

from statestore.api.schemas.common import ADDRESS, Out, PageIn, StoredSeconds, Time

EntryId = Annotated[int, Field(ge=1, lt=2**63, description="Id of an audit entry.")]
Columns = Annotated[dict[str, Any] | None, Field(description="Null if the row did not exist.")]


class EditsIn(PageIn):
    """Filters for edits."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of the task or session.")] = ""
    noun: Literal["task", "session"] | None = None


class EditOut(Out):
    """An edit: the changed columns before and after; all columns if the row was created or deleted."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: str
    verb: Literal["create", "edit", "move", "end", "delete"]
    noun: Literal["task", "session"]
    row_id: str
    row: Annotated[str, Field(description="URL of the task or session.")]
    before: Columns
    after: Columns
    reverts: Annotated[int | None, Field(description="Id of the edit that this one reverts.")]
    can_be_reverted: Annotated[bool, Field(description="Whether it can be reverted; a later edit may conflict.")]
    url: str
    page: str
