"""The sessions whose events are the newest, for the list of sessions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewestSessions:
    """Ids of sessions, among them all that have an event after a second; None if they are all that have any."""

    ids: frozenset[str]
    after: int | None
