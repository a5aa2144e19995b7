"""Capture: whether it is on, what it has kept, what it costs."""

from typing import Annotated

from pydantic import Field

from statestore.api.schemas.common import Out, StoredSeconds, Time


class CaptureOut(Out):
    """Whether capture is on, and what it has kept."""

    is_on: bool
    kept: Annotated[int, Field(description="Changes that were seen.")]
    skipped: Annotated[int, Field(description="Of those, how many were too long to keep the states of.")]
    oldest_at: Time
    oldest_at_seconds: StoredSeconds
    max_bytes: Annotated[int, Field(description="Of both states of a change; CAPTURE_MAX_BYTES.")]
    rows: Annotated[int, Field(description="So many of the newest changes stay; CAPTURE_ROWS.")]
    page: str


class CostOut(Out):
    """What a save of one size takes, in ms."""

    size_bytes: int
    without_ms: float
    with_ms: float
    added_ms: float
    is_kept: Annotated[bool, Field(description="Whether the states of this size are kept.")]


class CostsOut(Out):
    """What capture would cost each save, measured just now on a file of its own."""

    most_ms: Annotated[int, Field(description="What a save of 10 MB may cost more at most.")]
    items: list[CostOut]
