"""What is said of growth: the newest samples beside those of a day before. No table of the store is read."""

import json
from dataclasses import dataclass

from statestore import models
from statestore.db.errors import translated_errors
from statestore.growth import limits
from statestore.growth.forecast import Forecast, forecast
from statestore.growth.sampling import WALKED
from statestore.models.growth import Sample


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one thing; `grown` is since `before_at` of the report, None if it was not measured then.

    `share` is that of the whole, in percent; `agent_id` whose it is.
    """

    name: str
    rows: int
    bytes: int
    grown: int | None
    share: float = 0.0
    agent_id: str = ""

    @property
    def before(self) -> int | None:
        """The bytes that it had before it grew."""
        return None if self.grown is None else self.bytes - self.grown


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known. The files are measured at `at`, the tables at `walked_at`; None if they were not yet.

    `repeated` has, of the largest agents, how many percent of the bytes of their newest states are there already.
    """

    at: int | None
    walked_at: int | None
    before_at: int | None
    is_walking: bool
    places: dict[str, Measured]
    tables: list[Measured]
    namespaces: list[Measured]
    agents: list[Measured]
    paths: list[Measured]
    used: list[tuple[int, int]]
    forecast: Forecast | None
    archived_bytes: int
    repeated: dict[str, float]

    @property
    def archive_ratio(self) -> float | None:
        """How many times smaller the archived states are in their frames; None without any."""
        frames = next((one.bytes for one in self.tables if one.name == "dash_frame"), 0)
        return self.archived_bytes / frames if frames else None


def report(using: str) -> Report:
    """Return the report, by a number of queries that does not depend on how much there is."""
    samples = Sample.objects.using(using)
    with translated_errors():
        at, walked_at = samples.last_at("place"), samples.last_at("table")
        before_at = None if walked_at is None else _before(using, "table", walked_at)
        found = {kind: _measured(using, kind, walked_at, before_at) for kind in WALKED}
        places = _measured(using, "place", at, None if at is None else _before(using, "place", at))
        by_name = {one.name: one for one in places}
        since = models.now() - limits.FITTED_SECONDS
        used = [(int(row.at), row.bytes) for row in samples.series("place", "used", since)]
        is_walking = samples.of("walk").exists()
    free = by_name["disk free"].bytes if "disk free" in by_name else None
    return Report(
        at, walked_at, before_at, is_walking, by_name, found["table"], found["namespace"], found["agent"],
        _by_path(found["path"]), used, forecast(used, free),
        sum(one.bytes for one in found["archive"]), _repeated(found["state"], found["repeat"]),
    )  # fmt: skip


def _repeated(states: list[Measured], repeats: list[Measured]) -> dict[str, float]:
    read = {one.name: one.bytes for one in states if one.bytes}
    return {one.name: 100 * one.bytes / read[one.name] for one in repeats if one.name in read}


def _before(using: str, kind: str, at: int) -> int | None:
    """Return the time of the sample a day before another, or of the first one; None if there is none."""
    samples = Sample.objects.using(using)
    before = samples.last_at(kind, at - limits.DAY) or samples.first_at(kind)
    return before if before is not None and before < at else None


def _measured(using: str, kind: str, at: int | None, before_at: int | None) -> list[Measured]:
    """Return the samples of a kind, the largest first, each with its growth."""
    times = [time for time in (at, before_at) if time is not None]
    rows = list(Sample.objects.using(using).at_times(kind, times)) if times else []
    before = {row.name: row.bytes for row in rows if row.at == before_at}
    newest = sorted((row for row in rows if row.at == at), key=lambda row: (-row.bytes, row.name))
    total = sum(row.bytes for row in newest) or 1
    return [
        Measured(
            str(row.name), row.rows, row.bytes, row.bytes - before[row.name] if row.name in before else None,
            100 * row.bytes / total,
        )
        for row in newest
    ]  # fmt: skip


def _by_path(found: list[Measured]) -> list[Measured]:
    """Return the paths with the share that each has of its own agent's measured paths, agent by agent."""
    split = [(*json.loads(one.name), one) for one in found]
    totals: dict[str, int] = {}
    for agent_id, _, one in split:
        totals[agent_id] = totals.get(agent_id, 0) + one.bytes
    return [
        Measured(path, one.rows, one.bytes, one.grown, 100 * one.bytes / (totals[agent_id] or 1), agent_id)
        for agent_id, path, one in sorted(split, key=lambda entry: (-totals[entry[0]], entry[0], -entry[2].bytes))
    ]
