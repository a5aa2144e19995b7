"""The activity of the last 24 hours, as bars."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.core.cache import cache
from django.urls import reverse
from django.utils.http import urlencode

from statestore import models
from statestore.access.scope import Scope

HOURS: Final = 24
HOUR_SECONDS: Final = 3600
WIDTH: Final = 30
HEIGHT: Final = 60
# A busy fleet has 300,000 events a day: counting them takes 100 ms, which not every look at the overview shall cost.
CACHED_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: its counts, and the positions of its bars."""

    label: str
    url: str
    x: int
    events: int
    transitions: int
    restores: int
    events_height: int
    transitions_height: int

    @property
    def events_y(self) -> int:
        return HEIGHT - self.events_height

    @property
    def transitions_y(self) -> int:
        return HEIGHT - self.transitions_height

    @property
    def hit_x(self) -> int:
        return self.x - 4

    @property
    def transitions_x(self) -> int:
        return self.x + 12


def draw(now: int, seen: Scope) -> list[Bar]:
    """Return a bar for each of the last 24 hours, oldest first, of what a user sees."""
    start = now - now % HOUR_SECONDS - (HOURS - 1) * HOUR_SECONDS
    counts: list[dict[int, int]] = (
        cache.get_or_set(_key(start, seen), lambda: _counts(start, seen), CACHED_SECONDS) or []
    )
    tops = [max(count.values(), default=0) or 1 for count in counts]
    return [_bar(hour, start, [count.get(hour, 0) for count in counts], tops) for hour in range(HOURS)]


def _key(start: int, seen: Scope) -> str:
    namespaces = "" if seen.namespaces is None else models.sha256(json.dumps(sorted(seen.namespaces)))
    return f"activity-{start}-{namespaces}"


def _counts(start: int, seen: Scope) -> list[dict[int, int]]:
    tables = (seen.events(), seen.transitions(), seen.restores())
    return [rows.hourly_counts(start) for rows in tables]


def _bar(hour: int, start: int, numbers: list[int], tops: list[int]) -> Bar:
    begins = start + hour * HOUR_SECONDS
    query = urlencode({"start": begins, "end": begins + HOUR_SECONDS - 1})
    heights = [max(2, round(HEIGHT * n / top)) if n else 0 for n, top in zip(numbers, tops, strict=True)]
    return Bar(
        label=datetime.fromtimestamp(begins, UTC).strftime("%b %d %H:00"),
        url=f"{reverse('changes')}?{query}",
        x=hour * WIDTH + 4,
        events=numbers[0],
        transitions=numbers[1],
        restores=numbers[2],
        events_height=heights[0],
        transitions_height=heights[1],
    )
