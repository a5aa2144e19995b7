"""Transitions."""

from typing import Annotated, Self

from pydantic import Field

from statestore.api.schemas.agents import Metadata, State, StateData
from statestore.api.schemas.common import In, Reason, RowOut, example
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
from statestore.models import CapturedChange


class TransitionRowOut(RowOut):
    """A transition without its states."""

    id: StoredText
    address: Address = Field(validation_alias="id")
    agent_id: StoredText
    reason: OptionalStoredText
    timestamp: Time
    timestamp_seconds: StoredSeconds
    metadata: OptionalStoredText
    size_before: Size = None
    size_after: Size = None
    url: Annotated[str, api_url("get_transition")] = Field(validation_alias="id")
    page: Annotated[str, page_url("transition")] = Field(validation_alias="id")
    raw: Raw = None

    @classmethod
    def of_captured(cls, change: CapturedChange) -> Self:
        """Return the response for a captured change."""
        return cls.of(change, id=f"{change.PREFIX}{change.pk}", timestamp=change.at, reason=None, metadata=None)


class TransitionOut(TransitionRowOut):
    """A transition with the states before and after it."""

    size_before: Size = Field(validation_alias="state_before")
    size_after: Size = Field(validation_alias="state_after")
    etag: str
    state_before_text: StoredText = Field(validation_alias="state_before")
    state_before: StoredJson
    state_after_text: StoredText = Field(validation_alias="state_after")
    state_after: StoredJson


class TransitionIn(In):
    """A change to record. Each state is JSON, or text in `state_before_text` and `state_after_text`."""

    model_config = example({"state_before": {"step": 1}, "state_after": {"step": 2}, "reason": "step done"})

    state_before: State = None
    state_before_text: StateData | None = None
    state_after: State = None
    state_after_text: StateData | None = None
    reason: Reason | None = None
    metadata: Metadata = None
