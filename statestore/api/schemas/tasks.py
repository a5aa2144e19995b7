"""Tasks."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from statestore.api import serializers
from statestore.api.schemas.agents import Metadata
from statestore.api.schemas.common import Id, In, PageIn, RowOut, example
from statestore.api.schemas.fields import (
    Address,
    OptionalStoredText,
    Raw,
    Source,
    StoredSeconds,
    StoredText,
    Time,
    api_url,
)
from statestore.jsondiff import parsing


class TasksIn(PageIn):
    """Filters for tasks."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Annotated[str, Field(max_length=500)] = ""


class TaskPatchIn(In):
    """Changes of a task. Omitted fields keep their values."""

    model_config = example({"status": "Done"})

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: Annotated[str, Field(max_length=1_000_000)] | None = None
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Id | None = None
    dependencies: Annotated[
        list[Id] | None, Field(max_length=1000, description="Ids of the tasks that block this one.")
    ] = None
    metadata: Metadata = None


class TaskPutIn(TaskPatchIn):
    """A task to save. Omitted fields keep their values, or get their defaults."""

    model_config = example({"title": "Refactor the parser", "status": "InProgress"})

    title: Annotated[str, Field(min_length=1, max_length=500)]


class TaskIn(TaskPutIn):
    """A task to create."""

    model_config = example({"title": "Refactor the parser", "priority": "high"})

    id: Id | None = None


def _listed_ids(dependencies: str | None) -> list[str | None] | None:
    try:
        ids = parsing.parse(dependencies or "[]")
    except parsing.NotJson:
        return None
    return [serializers.text(task_id) for task_id in ids if isinstance(task_id, str)] if isinstance(ids, list) else None


class TaskOut(RowOut):
    """A task."""

    id: StoredText
    address: Address = Field(validation_alias="id")
    title: StoredText
    description: OptionalStoredText
    status: StoredText
    priority: StoredText
    complexity: StoredText
    assigned_to: OptionalStoredText
    dependencies: Annotated[OptionalStoredText, Field(description="As stored.")]
    metadata: OptionalStoredText
    waits_for: Annotated[
        list[str] | None,
        BeforeValidator(_listed_ids),
        Field(description="The dependencies as ids; null if not a JSON list."),
    ] = Field(validation_alias="dependencies")
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    url: Annotated[str, api_url("get_task")] = Field(validation_alias="id")
    raw: Raw = None


class ListedTaskOut(TaskOut):
    """A task of a list."""

    source: Source
