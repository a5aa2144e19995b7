"""Edits of tasks and sessions."""

from typing import Annotated, Any, Literal

from pydantic import Field

from statestore.api.schemas.common import ADDRESS, Out, PageIn, StoredSeconds, Time

EntryId = Annotated[int, Field(ge=1, lt=2**63, description="The number of an audit entry.")]
Columns = Annotated[dict[str, Any] | None, Field(description="Null where there was no row.")]


class EditsIn(PageIn):
    """Which edits."""

    row: Annotated[str, Field(max_length=1500, pattern=ADDRESS, description="The task or session they are of.")] = ""
    noun: Literal["task", "session"] | None = None


class EditOut(Out):
    """One edit: the columns that it changed, before and after; all columns of a row that came or went."""

    id: int
    at: Time
    at_seconds: StoredSeconds
    actor: str
    verb: Literal["create", "edit", "move", "end", "delete"]
    noun: Literal["task", "session"]
    row_id: str
    row: Annotated[str, Field(description="The call that reads the task or session.")]
    before: Columns
    after: Columns
    reverts: Annotated[int | None, Field(description="The edit that this one took back.")]
    can_be_reverted: Annotated[bool, Field(description="There is something to go back to; later edits may forbid it.")]
    url: str
    page: str
