"""How far the indexer is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the walk through the store is. `left_seconds` is None as long as its rate is unknown."""

    done: int
    total: int
    left_seconds: float | None
