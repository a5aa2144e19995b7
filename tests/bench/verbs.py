"""The verbs of the Python API, each beside bare SQL of the same statements."""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from statestore import restore
from statestore.access.audit import Actor
from statestore.store import StateStore
from tests.bench import bare, data
from tests.bench.figures import show, show_rate

ADA = Actor("ada")
ROUNDS = 400
EVENT = {"event_type": "message", "session_id": "s", "actor_type": "Agent", "actor_id": "a", "content": "x" * 200}


def measure(home: Path) -> None:
    """Measure each verb: its time, its ratio to its own statements, and that of restores to a bare save."""
    store, turns = StateStore(actor=ADA), itertools.count()
    # Each save and restore writes another state than the one before, as an agent's do.
    texts = [data.state(11_000, step) for step in (1, 2)]

    def save() -> None:
        store.save_agent_state("bench", texts[next(turns) % 2], reason="r")

    save()
    bare_save = _beside(home, "save 11 KB and its transition", save)
    _beside(home, "load a state of 11 KB", lambda: store.load_agent_state("bench"))
    _beside(home, "save an event", lambda: store.save_event(EVENT))
    _beside(home, "save a task", lambda: store.save_task({"title": "Refactor the parser"}))
    _beside(home, "create a snapshot of 11 KB", lambda: store.create_snapshot("bench"))
    snapshots = []
    for _ in range(2):
        save()
        snapshots.append(store.create_snapshot("bench").pk)

    def restore_at_once() -> None:
        store.restore_snapshot(snapshots[next(turns) % 2])

    def restore_as_planned() -> None:
        restore.apply(restore.plan("bench", f"snapshot:{snapshots[next(turns) % 2]}"), by=ADA)

    _beside(home, "restore_snapshot, 11 KB", restore_at_once, bare_save)
    _beside(home, "restore, 11 KB: plan with warnings, then apply", restore_as_planned, bare_save)
    _ingest(store)


def _beside(home: Path, line: str, work: Callable[[], object], bare_save: float | None = None) -> float:
    """Measure a verb and its statements by bare SQL, and return the median milliseconds of these."""
    ours, same = bare.beside(home, work, ROUNDS)
    median, median_same = statistics.median(ours), statistics.median(same)
    ratios = {"ratio": median / median_same}
    note = f"{ratios['ratio']:.1f} times bare SQL ({median_same:.3f} ms)"
    if bare_save is not None:
        ratios["saves"] = median / bare_save
        note += f", {ratios['saves']:.1f} times a bare save"
    show(line, median, ours[int(len(ours) * 0.95) - 1], note=note, **ratios)
    return median_same


def _ingest(store: StateStore) -> None:
    batches = [[{**EVENT, "id": f"b{batch}-{n}"} for n in range(1000)] for batch in range(20)]
    start = time.perf_counter()
    for batch in batches:
        store.save_events(batch)
    show_rate("ingest of events, 1,000 at a time", 20_000 / (time.perf_counter() - start), "events")
