"""The bounds of the figures, for `make bench CHECK=1`: milliseconds, ratios, rates, each for lines by their names.

The ratios are for a disk, on which both sides wait at each commit; in a tmpfs bare SQL takes half of the time.
"""

from dataclasses import dataclass
from typing import Final

_AT_LEAST: Final = frozenset({"rate", "times"})


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of one figure of the lines that a pattern names.

    Figures: median, p95, worst in ms; `ratio` to bare SQL of the same statements; `saves`, a ratio to a bare save with
    its transition; `bare`, a ratio to a bare page; `growth`, one to the same page of a small store; `rate` per second
    and `times` smaller, which must be at least so high; `megabytes`.
    """

    line: str
    figure: str
    limit: float

    def is_broken_by(self, value: float) -> bool:
        """Return whether a figure is beyond the limit."""
        return value < self.limit if self.figure in _AT_LEAST else value > self.limit

    @property
    def words(self) -> str:
        """The limit as the end of a sentence."""
        return f"{'at least' if self.figure in _AT_LEAST else 'at most'} {self.limit:,g} allowed"


# The first that names a line counts.
BOUNDS: Final = (
    # Verbs of the Python API
    Bound("save 11 KB and its transition", "ratio", 4),
    Bound("save 11 KB and its transition", "median", 1),
    Bound("save an event", "ratio", 4),
    Bound("save a task", "ratio", 4),
    Bound("create a snapshot of 11 KB", "ratio", 4),
    Bound("create a snapshot of 11 KB", "median", 1),
    Bound("load a state of 11 KB", "ratio", 12),
    Bound("load a state of 11 KB", "median", 0.4),
    Bound("restore_snapshot, 11 KB", "saves", 8),
    Bound("restore_snapshot, 11 KB", "median", 2.5),
    Bound("restore, 11 KB: plan with warnings, then apply", "saves", 8),
    Bound("restore, 11 KB: plan with warnings, then apply", "median", 2.5),
    Bound("fleet: restore, for each agent", "median", 2),
    Bound("fleet: undo, for each agent", "median", 2),
    Bound("ingest of events, 1,000 at a time", "rate", 20_000),
    # Pages in process
    # How many agents of a namespace there are is counted among all 100,000, up to 5,000: 10 ms. What is done to *all
    # that match* needs the number.
    Bound("page: agents, one namespace", "bare", 24),
    Bound("page: *", "bare", 21),
    # A part of a name, or a row in the trash, is found by reading the index of all 100,000 agents: 15 and 6 ms. To
    # build an index for either in the orchestrator's file would keep its saves waiting.
    Bound("page: agents, text that *", "growth", 5),
    Bound("page: agents, one namespace", "growth", 3),
    Bound("page: trash", "growth", 3),
    Bound("page: *", "growth", 2),
    # Search of 1,000,000 events
    Bound("search, * words from common to absent", "p95", 20),
    Bound("search, * words from common to absent", "worst", 150),
    # Comparison
    Bound("diff of two parsed states of *", "median", 50),
    # JSON over HTTP
    Bound("JSON: 100 *", "median", 10),
    Bound("JSON: events in batches of *", "rate", 5_000),
    # Several stores
    Bound("list of 100 stores, 5 gone*", "median", 300),
    # Upkeep
    Bound("archive: a growing conversation, times smaller", "times", 50),
    Bound("archive: random edits of 40 KB, times smaller", "times", 20),
    Bound("archive: a growing conversation", "rate", 500),
    Bound("archive: random edits of 40 KB", "rate", 500),
    Bound("archive: read a transition of *", "p95", 20),
    # Stores of other frameworks
    Bound("sources: checkpoints of 3 KB, mirrored", "rate", 2_000),
    Bound("sources: first page of *", "median", 5_000),
    Bound("sources: look at a source without news", "p95", 5),
    Bound("sources: states of a chat of * items in the mirror", "megabytes", 5),
    # 4.97 in a store of its own; beside other rows, pages are filled otherwise.
    Bound("sources: chat of * items in the mirror", "megabytes", 5.1),
)
