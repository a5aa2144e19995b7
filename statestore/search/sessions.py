"""Sessions that are neighbours by their last events, for the list of sessions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionRange:
    """Ids of sessions: from where a page begins, among them all whose last event is before `edge`, a second.

    Before is after, where newest are first: it is the direction of reading. Without an edge, none is left beyond them.
    """

    ids: frozenset[str]
    edge: int | None
