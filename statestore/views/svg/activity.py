"""What happened in each hour of the last day, or in each stretch of the last week or month."""

import json
from typing import Final

from django.core.cache import cache
from django.urls import reverse
from django.utils.http import urlencode

from statestore import models
from statestore.access.scope import Scope
from statestore.models.querysets import Intervals
from statestore.views.svg.bars import Chart, chart

HOUR_SECONDS: Final = 3600
# Name, what is said of it, bars, seconds of each.
RANGES: Final = (
    ("day", "24 h", 24, HOUR_SECONDS),
    ("week", "7 d", 28, 6 * HOUR_SECONDS),
    ("month", "30 d", 30, 24 * HOUR_SECONDS),
)
# A busy fleet has 300,000 events a day: counting them takes 100 ms, which not every look at the overview shall cost.
CACHED_SECONDS: Final = {"day": 20, "week": 120, "month": 600}
KINDS: Final = (
    ("events", "Events", 64),
    ("changes", "Changes", 48),
    ("errors", "Errors", 32),
    ("restores", "Restores", 0),
)


def draw(now: int, seen: Scope, range_name: str = "day") -> Chart:
    """Return the chart of what a user sees; its last stretch has not ended yet."""
    name, _, number, seconds = next((one for one in RANGES if one[0] == range_name), RANGES[0])
    among = Intervals(now - now % seconds - (number - 1) * seconds, seconds, number)
    counts: dict[str, dict[int, int]] = (
        cache.get_or_set(_key(name, among.start, seen), lambda: _counts(among, seen), CACHED_SECONDS[name]) or {}
    )
    page = reverse("changes")
    return chart(
        among, counts, KINDS, now=now, zoom=f"{page}?start={{start}}&end={{end}}",
        url_of=lambda start, end: f"{page}?{urlencode({'start': start, 'end': end})}",
    )  # fmt: skip


def _key(name: str, start: int, seen: Scope) -> str:
    namespaces = "" if seen.namespaces is None else models.sha256(json.dumps(sorted(seen.namespaces)))
    return f"activity-{name}-{start}-{namespaces}"


def _counts(among: Intervals, seen: Scope) -> dict[str, dict[int, int]]:
    events, errors = seen.events().counts_and_errors(among)
    return {
        "events": events,
        "errors": errors,
        "changes": seen.transitions().counts(among),
        "restores": seen.restores().counts(among),
    }
