"""What the dashboard costs the orchestrator's saves, measured beside the same saves into a file that no one shares.

How long a save takes depends on the machine and on what else it does. So a second writer, the control, saves at the
same time into a store of its own; and a bad guest shows in the same run how long a save waits for a lock that is held.
"""

import math
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.foreign import orchestrator, writer

# The promise is half a second, half of what the bad guest holds the lock for.
BAD_GUEST_SECONDS = 1.0


def run_delay_seconds() -> float:
    """Return how long this thread was ready to run so far and got no processor, 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


@dataclass
class Watched:
    """Writers on the shared store, and their control.

    `starved_seconds` is how long this thread waited for a processor meanwhile: what it does itself holds locks longer.
    """

    writers: list[writer.Running]
    control: writer.Running
    starved_seconds: float = 0.0

    @property
    def saves(self) -> list[dict[str, Any]]:
        """All saves into the shared store."""
        return [save for run in self.writers for save in run.saves]

    @property
    def worst_wait_seconds(self) -> float:
        """The longest that any save into the shared store took."""
        return max(run.worst_wait_seconds for run in self.writers)

    @property
    def lost(self) -> list[str]:
        """The saves that failed."""
        return [str(save) for run in self.writers for save in run.failures]

    @property
    def waits(self) -> str:
        """How long saves took, here and in the control's file: the median, the 99th percentile and the longest."""
        return f"{_spread(self.saves)} (without us {_spread(self.control.saves)})"

    def often_late(self, held_seconds: float) -> list[str]:
        """Return the 99th percentile if it is over a fifth of a lock's time, above what the machine explains."""
        bound = percentile(self.control.saves, 99) + (self.starved_seconds + held_seconds / 5) * 1000
        found = percentile([save for save in self.saves if save["ok"]], 99)
        return [f"99 of 100 saves took {found:.0f} ms"] if found > bound else []

    def late(self, held_seconds: float) -> list[str]:
        """Return the saves that waited for more than half of a lock's time, above what the machine explains."""
        bound = self.control.worst_wait_seconds + self.starved_seconds + held_seconds / 2
        return [str(save) for save in self.saves if save["ok"] and save["ms"] > bound * 1000]

    def harm(self, held_seconds: float) -> list[str]:
        """Return the saves that were lost or late."""
        return self.lost + self.late(held_seconds)


def percentile(saves: list[dict[str, Any]], percent: int) -> float:
    """Return the milliseconds that so many of 100 saves took at most (nearest rank)."""
    times = sorted(save["ms"] for save in saves)
    return float(times[math.ceil(percent / 100 * len(times)) - 1])


def _spread(saves: list[dict[str, Any]]) -> str:
    return " / ".join(f"{percentile(saves, percent):.1f}" for percent in (50, 99, 100)) + " ms"


@contextmanager
def watched(store: Path, *arguments: str, writers: int = 1) -> Iterator[Watched]:
    """Yield writers that save into the store, and a control that saves into a file beside it."""
    apart = store.with_name(f"{store.stem}-control.db")
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{apart}{suffix}").unlink(missing_ok=True)
    orchestrator.create(apart)
    with ExitStack() as stack:
        control = stack.enter_context(writer.running(apart, *arguments))
        run = Watched([stack.enter_context(writer.running(store, *arguments)) for _ in range(writers)], control)
        before = run_delay_seconds()
        yield run
        run.starved_seconds = run_delay_seconds() - before


@contextmanager
def bad_guest(store: Path) -> Iterator[None]:
    """Keep a read open during the block, as a slow page would; in WAL, where that harms no one, the write lock."""
    connection = sqlite3.connect(store, isolation_level=None)
    is_wal = connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.execute("BEGIN IMMEDIATE" if is_wal else "BEGIN")
    connection.execute("SELECT count(*) FROM agent_states").fetchall()
    yield
    connection.execute("ROLLBACK")
    connection.close()


def held_seconds(store: Path) -> float:
    """Return how long a save waited beside a bad guest. Fails where it did not wait: then nothing could be seen."""
    with writer.running(store, "--per-second", "100") as run:
        run.await_saves()
        with bad_guest(store):
            threading.Event().wait(BAD_GUEST_SECONDS)
        run.await_saves()
    waited = run.worst_wait_seconds
    assert waited > BAD_GUEST_SECONDS / 2, f"beside a bad guest the longest wait was {waited:.3f} s: the canary is dead"
    return waited
