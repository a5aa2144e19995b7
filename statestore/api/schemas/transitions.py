"""Transitions."""

from typing import Any

from statestore.api.schemas.agents import State, StateData
from statestore.api.schemas.common import In, Out, Raw, Reason, StoredSeconds, Time


class TransitionRowOut(Out):
    """A transition without its states."""

    id: str
    address: str
    agent_id: str
    reason: str | None
    timestamp: Time
    timestamp_seconds: StoredSeconds
    metadata: str | None
    size_before: int | None
    size_after: int | None
    url: str
    page: str
    raw: Raw


class TransitionOut(TransitionRowOut):
    """A transition with the states before and after it."""

    etag: str
    state_before_text: str
    state_before: Any
    state_after_text: str
    state_after: Any


class TransitionIn(In):
    """A change to record. Each state is JSON, or text in `state_before_text` and `state_after_text`."""

    state_before: State = None
    state_before_text: StateData | None = None
    state_after: State = None
    state_after_text: StateData | None = None
    reason: Reason | None = None
    metadata: Any = None
