"""The figures of one run: printed as they come, and compared with the bounds at the end."""

import statistics
import time
from collections.abc import Callable
from fnmatch import fnmatch

from tests.bench.bounds import BOUNDS, Bound

# {line: {what was measured of it: the figure}}
_measured: dict[str, dict[str, float]] = {}


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of a work's milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95) - 1]


def show(line: str, median: float, p95: float, worst: float | None = None, *, note: str = "", **ratios: float) -> None:
    """Print a line of milliseconds, and keep its figures; `ratios` are others by name."""
    _measured[line] = {"median": median, "p95": p95, **({} if worst is None else {"worst": worst}), **ratios}
    worst_text = "" if worst is None else f" {worst:9.2f} ms"
    print(f"{line:<52} {median:9.3f} ms {p95:9.3f} ms{worst_text}   {note}", flush=True)


def show_rate(line: str, per_second: float, what: str) -> None:
    """Print a line of things per second."""
    _measured[line] = {"rate": per_second}
    print(f"{line:<52} {per_second:9,.0f} {what}/s", flush=True)


def broken_bounds() -> list[str]:
    """Return a sentence for each figure that breaks its bound; what was not measured breaks none."""
    return [
        f"{line}: {bound.figure} is {figures[bound.figure]:,.2f}, {bound.words}"
        for bound in BOUNDS
        for line, figures in _bounded(bound)
        if bound.is_broken_by(figures[bound.figure])
    ]


def unmeasured_bounds() -> list[str]:
    """Return a sentence for each bound without a figure: a line that was renamed would no longer be bounded."""
    return [f"{bound.line}: no {bound.figure} was measured" for bound in BOUNDS if not _bounded(bound)]


def _bounded(bound: Bound) -> list[tuple[str, dict[str, float]]]:
    return [
        (line, figures) for line, figures in _measured.items() if fnmatch(line, bound.line) and bound.figure in figures
    ]
