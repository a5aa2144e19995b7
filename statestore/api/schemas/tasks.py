"""Tasks."""

from typing import Annotated, Any

from pydantic import Field

from statestore.api.schemas.common import Id, In, Out, PageIn, Raw, StoredSeconds, Time


class TasksIn(PageIn):
    """Filters for tasks."""

    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Annotated[str, Field(max_length=500)] = ""


class TaskPatchIn(In):
    """Changes of a task. Omitted fields keep their values."""

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: Annotated[str, Field(max_length=1_000_000)] | None = None
    q: Annotated[str, Field(max_length=200, description="Text contained in the id or the title.")] = ""
    status: Annotated[str, Field(max_length=200)] = ""
    priority: Annotated[str, Field(max_length=200)] = ""
    complexity: Annotated[str, Field(max_length=200)] = ""
    assigned_to: Id | None = None
    dependencies: Annotated[
        list[Id] | None, Field(max_length=1000, description="Ids of the tasks that block this one.")
    ] = None
    metadata: Any = None


class TaskPutIn(TaskPatchIn):
    """A task to save. Omitted fields keep their values, or get their defaults."""

    title: Annotated[str, Field(min_length=1, max_length=500)]


class TaskIn(TaskPutIn):
    """A task to create."""

    id: Id | None = None


class TaskOut(Out):
    """A task."""

    id: str
    address: str
    title: str
    description: str | None
    status: str
    priority: str
    complexity: str
    assigned_to: str | None
    dependencies: Annotated[str | None, Field(description="As stored.")]
    waits_for: Annotated[list[str] | None, Field(description="The dependencies as ids; null if not a JSON list.")]
    metadata: str | None
    created_at: Time
    created_at_seconds: StoredSeconds
    updated_at: Time
    updated_at_seconds: StoredSeconds
    url: str
    raw: Raw
