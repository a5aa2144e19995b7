"""Metrics for Prometheus, read from the store at each request: worker processes keep no counters."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from statestore import archive, models
from statestore.backups import Backup
from statestore.db.routers import is_chosen, store_alias
from statestore.errors import DatabaseError, StateStoreError
from statestore.operations import doctor, readiness, upkeep

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
HOUR_SECONDS: Final = 3600
# Agents write arbitrary statuses: the number of time series is bounded.
MOST_STATUSES: Final = 20


class StoreCollector(Collector):
    """Collects the store's metrics, each by an index."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; if the store cannot be used, only that."""
        ready = readiness.examine()
        yield GaugeMetricFamily("statestore_ready", "1 where requests can be served.", value=int(ready.is_ready))
        parts = GaugeMetricFamily("statestore_part_ready", "1 where a part works.", labels=["part"])
        for part, problem in ready.parts.items():
            parts.add_metric([part], int(not problem))
        yield parts
        disk = GaugeMetricFamily("statestore_disk_free_bytes", "Free space beside a database.", labels=["database"])
        for alias, free in readiness.free_bytes().items():
            disk.add_metric([alias], free)
        yield disk
        if is_chosen() and not ready.parts["store"]:
            try:
                yield from list(self._store())
            except StateStoreError:
                return

    def _store(self) -> Iterator[Metric]:
        agents = GaugeMetricFamily("statestore_agents", "Agents by status, without the trash.", labels=["status"])
        counts = models.AgentState.objects.using(store_alias()).alive().counts_by_status()
        named = sorted(counts.items(), key=lambda pair: -pair[1])
        for status, count in named[:MOST_STATUSES]:
            agents.add_metric([status.encode("utf-8", "replace").decode()[:100]], count)
        if rest := sum(count for _, count in named[MOST_STATUSES:]):
            agents.add_metric(["(others)"], rest)
        yield agents
        since = models.now() - HOUR_SECONDS
        for name, help_text, rows in (
            ("transitions", "Transitions in the last hour.", models.Transition.objects.since(since)),
            ("restores", "Restores in the last hour.", models.Restore.objects.filter(at__gte=since)),
        ):
            yield GaugeMetricFamily(f"statestore_{name}_last_hour", help_text, value=rows.using(store_alias()).count())
        yield from self._upkeep()
        findings = GaugeMetricFamily("statestore_findings", "What the doctor complains about.", labels=["level"])
        levels = [finding.level for finding in doctor.troubles()]
        for level in ("warn", "error"):
            findings.add_metric([level], levels.count(level))
        yield findings

    def _upkeep(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "statestore_backup_age_seconds", "Age of the newest verified backup; absent if there is none."
        )
        if (newest := _newest_backup()) is not None:
            age.add_metric([], models.now() - int(newest.made_at.timestamp()))
        yield age
        success = GaugeMetricFamily(
            "statestore_housekeeping_last_success_seconds",
            "Unix time at which housekeeping last did a piece of work without a problem.",
            labels=["work"],
        )
        runs = models.HousekeepingRun.objects.using(store_alias()).without_clock().succeeded()
        for work, ended_at in sorted(runs.last_ended().items()):
            success.add_metric([work], ended_at)
        yield success
        records = archive.archived_records(store_alias())
        yield GaugeMetricFamily("statestore_archived_records", "Transitions and snapshots archived.", value=records)


def _newest_backup() -> Backup | None:
    """Return the newest verified backup; none where their directory cannot be read, which the doctor tells."""
    try:
        return upkeep.newest_good_backup()
    except DatabaseError:
        return None


_registry: Final = CollectorRegistry(auto_describe=False)
_registry.register(StoreCollector())


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(_registry)
