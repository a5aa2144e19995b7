"""Edits of tasks and sessions."""

from typing import Annotated, Literal, Self

from pydantic import Field

from statestore.api import serializers
from statestore.api.schemas.common import ADDRESS, Out, PageIn
from statestore.api.schemas.fields import ChangedColumns, StoredSeconds, Text, Time, api_url, page_url
from statestore.models import AuditEntry
from statestore.tasks.edits import edit_of

EntryId = Annotated[int, Field(ge=1, lt=2**63, description="Id of an audit entry.")]


class EditsIn(PageIn):
    """Filters for edits."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="Address of the task or session.")] = ""
    noun: Literal["task", "session"] | None = None


class EditOut(Out):
    """An edit: the changed columns before and after; all columns if the row was created or deleted."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: Text
    verb: Literal["create", "edit", "move", "end", "delete"] = Field(validation_alias="action")
    noun: Literal["task", "session"]
    row_id: Text
    row: Annotated[str, Field(description="URL of the task or session.")]
    summary: Annotated[Text, Field(description="The edit as one sentence.")]
    before: ChangedColumns
    after: ChangedColumns
    reverts: Annotated[int | None, Field(description="Id of the edit that this one reverts.")]
    can_be_reverted: Annotated[bool, Field(description="Whether it can be reverted; a later edit may conflict.")]
    url: Annotated[str, api_url("get_edit")] = Field(validation_alias="id")
    page: Annotated[str, page_url("edit")] = Field(validation_alias="id")

    @classmethod
    def of(cls, row: AuditEntry, /, **values: object) -> Self:
        """Return the response for the audit entry of an edit."""
        edit = edit_of(row)
        assert edit is not None
        link = serializers.url(f"api:get_{row.noun}", row.row_id)
        return super().of(row, row=link, can_be_reverted=edit.is_revertible, **values)
