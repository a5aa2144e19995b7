"""The figures of one run: printed as they come, and compared with the bounds at the end."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from tests.bench.bounds import BOUNDS, Bound

# {line: {what was measured of it: the figure}}
_measured: dict[str, dict[str, float]] = {}


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of a work's milliseconds."""
    return _quantiles([_milliseconds(work) for _ in range(rounds)])


def timed_in_turns(
    work: Callable[[], object], beside: Callable[[], object], rounds: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the same of two works done in turns, so that a slow moment of the machine slows both."""
    turns = [(_milliseconds(work), _milliseconds(beside)) for _ in range(rounds)]
    one, other = zip(*turns, strict=True)
    return _quantiles(one), _quantiles(other)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), sorted(times)[int(len(times) * 0.95) - 1]


def show(line: str, median: float, p95: float, worst: float | None = None, *, note: str = "", **ratios: float) -> None:
    """Print a line of milliseconds, and keep its figures; `ratios` are others by name."""
    _measured[line] = {"median": median, "p95": p95, **({} if worst is None else {"worst": worst}), **ratios}
    worst_text = "" if worst is None else f" {worst:9.2f} ms"
    print(f"{line:<52} {median:9.3f} ms {p95:9.3f} ms{worst_text}   {note}", flush=True)


def show_rate(line: str, per_second: float, what: str, **ratios: float) -> None:
    """Print a line of things per second; `ratios` are others by name."""
    _measured[line] = {"rate": per_second, **ratios}
    print(f"{line:<52} {per_second:9,.0f} {what}/s", flush=True)


def show_size(line: str, size: int) -> None:
    """Print a line of bytes."""
    _measured[line] = {"megabytes": size / 1e6}
    print(f"{line:<52} {size / 1e6:9,.1f} MB", flush=True)


def show_ratio(line: str, ratio: float) -> None:
    """Print a line that is a ratio alone."""
    _measured[line] = {"times": ratio}
    print(f"{line:<52} {ratio:9,.1f}", flush=True)


def save(path: Path) -> None:
    """Keep the figures as JSON, by line."""
    path.write_text(json.dumps(_measured, indent=1))


def load(path: Path) -> dict[str, dict[str, float]]:
    """Return figures that an earlier run kept."""
    figures: dict[str, dict[str, float]] = json.loads(path.read_text())
    return figures


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
        (line, figures)
        for line, figures in _measured.items()
        if bound.figure in figures and bound is _bound_of(line, bound.figure)
    ]


def _bound_of(line: str, figure: str) -> Bound | None:
    """Return the limit of a line's figure: the first that names it."""
    return next((bound for bound in BOUNDS if bound.figure == figure and fnmatch(line, bound.line)), None)
