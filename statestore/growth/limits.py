"""Bounds of sampling, and of what is kept of it."""

from typing import Final

HOUR: Final = 3600
DAY: Final = 24 * HOUR
# A sample that is younger is not repeated.
LEAST_AGE: Final = 50 * 60
# One run of the walk, and one slice of it: in a rollback journal, a reader holds off the orchestrator's save.
RUN_SECONDS: Final = 15.0
SLICE_SECONDS: Final = 0.02
SLICE_ROWS: Final = 400
LEAST_SLICE_ROWS: Final = 20
# The walk counts the bytes of so many agents; of more, the smallest are forgotten.
COUNTED_AGENTS: Final = 10_000
COUNTED_NAMESPACES: Final = 1_000
LARGEST_AGENTS: Final = 20
LARGEST_NAMESPACES: Final = 50
# Agents whose states are measured by path, and paths of each.
MEASURED_AGENTS: Final = 5
PATHS: Final = 8
# Of each, so many of the newest records are compared, up to so many bytes.
COMPARED_RECORDS: Final = 400
COMPARED_BYTES: Final = 16 * 1024 * 1024
HOURLY_SECONDS: Final = 7 * DAY
DAILY_SECONDS: Final = 365 * DAY
# The line is fitted through samples of so long.
FITTED_SECONDS: Final = 30 * DAY
