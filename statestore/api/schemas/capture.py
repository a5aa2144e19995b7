"""Change capture: status and cost."""

from typing import Annotated

from django.urls import reverse
from pydantic import Field

from statestore.api.schemas.common import Out
from statestore.api.schemas.fields import StoredSeconds, Time


class CaptureOut(Out):
    """The status of change capture."""

    is_on: bool
    kept: Annotated[int, Field(description="Number of recorded changes.")]
    skipped: Annotated[
        int, Field(description="How many of them are recorded without their states, which were too large.")
    ]
    max_bytes: Annotated[int, Field(description="Limit for both states of a change together (CAPTURE_MAX_BYTES).")]
    rows: Annotated[int, Field(description="Number of newest changes that are kept (CAPTURE_ROWS).")]
    oldest_at: Time
    oldest_at_seconds: StoredSeconds
    page: str = Field(default_factory=lambda: reverse("capture"))


class CostOut(Out):
    """The duration of a save of one size, in ms, without and with capture."""

    size_bytes: int
    without_ms: float
    with_ms: float
    added_ms: float
    is_kept: Annotated[bool, Field(description="Whether states of this size are recorded.")]


class CostsOut(Out):
    """What capture adds to each save, just measured on a temporary file."""

    most_ms: Annotated[int, Field(description="Upper limit for what it may add to a save of 10 MB.")]
    items: list[CostOut]
