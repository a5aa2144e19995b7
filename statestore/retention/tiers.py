"""Which rows a policy lets go, of one agent's rows from the newest to the oldest."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from statestore.models import RetentionPolicy

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
# Within these ages, one row is kept of each hour, day and week; of what is older one of each month. All of a day stay.
_TIERS: Final = ((7 * DAY, HOUR), (30 * DAY, DAY), (365 * DAY, 7 * DAY))


@dataclass(frozen=True, slots=True)
class Row:
    """A row as policies see it: its key, when it was made, the bytes of its states."""

    pk: str
    at: int
    bytes: int


def superfluous(policy: RetentionPolicy, rows: Iterable[Row], *, now: int, kept: Container[str] = ()) -> Iterator[Row]:
    """Yield the rows that go, newest first; `rows` are one agent's, newest first.

    The newest row stays, and of what tiers thin the oldest one as well. Rows in `kept` stay, and count.
    """
    count = size = 0
    last_period: object = None
    thinned: Row | None = None
    for row in rows:
        # There is an older one: the row that tiers thinned is not the oldest.
        if thinned is not None:
            yield thinned
            thinned = None
        count, size = count + 1, size + row.bytes
        period = _period(row.at, now) if policy.is_tiered else None
        is_extra = period is not None and period == last_period
        last_period = period
        if count == 1 or row.pk in kept:
            continue
        if _exceeds(policy, row, count, size, now):
            yield row
        elif is_extra:
            thinned = row


def _exceeds(policy: RetentionPolicy, row: Row, count: int, size: int, now: int) -> bool:
    return bool(
        (policy.keep_seconds is not None and row.at < now - policy.keep_seconds)
        or (policy.keep_count is not None and count > policy.keep_count)
        or (policy.keep_bytes is not None and size > policy.keep_bytes)
    )


def _period(at: int, now: int) -> object:
    """Return the hour, day, week or month of which one row is kept; None if all are."""
    age = now - at
    if age < DAY:
        return None
    for most, seconds in _TIERS:
        if age < most:
            return seconds, at // seconds
    return datetime.fromtimestamp(max(at, 0), UTC).strftime("%Y-%m")
