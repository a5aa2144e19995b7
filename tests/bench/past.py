"""The time machine's measurements: long pasts, a fleet put back, and how long the write lock is held for it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.core.cache import cache
from django.test import Client

from statestore import history, models, restore
from statestore.access.audit import Actor
from statestore.agents import capture
from statestore.db.transactions import WriteLock
from statestore.history import moments
from statestore.jsondiff import predicate
from tests.bench import bare, data
from tests.bench.figures import show, timed

ADA = Actor("ada")
# name: (transitions, leaves of the state, bytes of a state about)
PASTS = {"long": (100_000, 0, 1_000), "heavy": (10_000, 0, 11_000), "wide": (2_000, 500, 0)}
FLEET = 1_000


def _states(leaves: int, size: int) -> Iterator[str]:
    """Yield the states of a past, each one change away from the one before."""
    if leaves:
        state: dict[str, Any] = {f"group {n}": {f"leaf {i}": 0 for i in range(25)} for n in range(leaves // 25)}
        for step in range(10**9):
            state[f"group {step % (leaves // 25)}"][f"leaf {step // (leaves // 25) % 25}"] = step
            yield json.dumps(state)
    for step in range(10**9):
        yield data.state(size, step)


def fill() -> None:
    """Make the agents with long pasts, and a fleet of which each agent moved."""
    for name, (count, leaves, size) in PASTS.items():
        states = _states(leaves, size)
        before, rows = next(states), []
        for n in range(count):
            after = next(states)
            rows.append(
                models.Transition(
                    id=f"past-{name}-{n}", agent_id=name, state_before=before, state_after=after, reason=f"turn {n}",
                    timestamp=data.START + n,
                )
            )  # fmt: skip
            before = after
            if len(rows) == 2_000 or n + 1 == count:
                models.Transition.objects.bulk_create(rows)
                rows = []
        _agent(name, before, data.START + count)
    for n in range(FLEET):
        name, old, new = f"fleet-{n:04}", data.state(2_000, n), data.state(2_000, n + 1)
        _agent(name, new, data.START + 9)
        models.Transition.objects.create(
            agent_id=name, state_before=old, state_after=old, reason="began", timestamp=data.START
        )


def _agent(name: str, text: str, at: int) -> None:
    models.AgentState.objects.create(
        key=name, agent_id=name, name=name, state_data=text, created_at=data.START, updated_at=at
    )


def measure(home: Path, client: Client) -> None:
    """Measure pages and questions about long pasts, then the fleet."""
    if not models.AgentState.objects.filter(agent_id="long").exists():
        fill()
    for name in ("long", "heavy"):
        count = PASTS[name][0]
        middle = f"transition:past-{name}-{count // 2}:after"
        show(f"timeline, {count:,} transitions", *timed(partial(_get, client, f"/agents/{name}/timeline/"), 11))
        show("  at a moment in the middle",
             *timed(partial(_get, client, f"/agents/{name}/timeline/?moment={middle}"), 11))  # fmt: skip
        at = moments.AtTime(data.START + count // 3)
        show("  the state at a time", *timed(partial(history.state_at, name, at), 21))
    agent = models.AgentState.objects.get(agent_id="wide")
    show("blame of 500 leaves, not cached", *timed(partial(_blame, agent), 5))
    show("  cached", *timed(lambda: history.blame(agent), 11))
    agent = models.AgentState.objects.get(agent_id="heavy")
    asked = partial(history.path_history, agent, "/plan/step", budget_seconds=None)
    median, p95 = timed(asked, 3)
    thousands = PASTS["heavy"][0] / 1000
    show("history of a path, for each 1,000 transitions of 11 KB", median / thousands, p95 / thousands)
    condition = predicate.parse("/plan/step < 0")
    median, p95 = timed(lambda: history.bisect(agent, condition, budget_seconds=None), 3)
    show("bisect, for each 1,000 transitions of 11 KB", median / thousands, p95 / thousands)
    fleet(home)
    for cost in capture.measure():
        kept = "" if cost.is_kept else ", only its time kept"
        show(f"capture: added to a save of {cost.size_bytes:,} bytes{kept}", cost.added_ms, cost.added_ms)


def _get(client: Client, address: str) -> None:
    assert client.get(address).status_code == 200, address


def _blame(agent: models.AgentState) -> None:
    cache.clear()
    found = history.blame(agent, budget_seconds=None)
    assert found.is_complete


def fleet(home: Path) -> None:
    """Measure the preview, the batch and its undo beside bare SQL, and how long its transactions were open."""
    agents = models.AgentState.objects.filter(agent_id__startswith="fleet-")
    start = time.perf_counter()
    verdicts = restore.preview_batch(agents, data.START + 1)
    took = (time.perf_counter() - start) * 1000
    show(f"fleet: preview of {len(verdicts):,} agents", took, took)
    # One half is measured, and of the other the statements are recorded.
    halves = [
        restore.prepare([(one.agent.agent_id, one.etag) for one in half], data.START + 1, by=ADA)
        for half in (verdicts[::2], verdicts[1::2])
    ]
    _batch(home, "restore", *halves)
    _batch(home, "undo", *(restore.prepare_undo(half, by=ADA) for half in halves))


def _batch(home: Path, words: str, measured: models.Batch, recorded: models.Batch) -> None:
    size = measured.items.count()
    start = time.perf_counter()
    with held() as times:
        counts = restore.apply_batch(measured, by=ADA)
    each = (time.perf_counter() - start) * 1000 / size
    assert counts == {"done": size}, counts
    connection = bare.connect(home)
    same = bare.run(connection, bare.record(lambda: restore.apply_batch(recorded, by=ADA))) / recorded.items.count()
    connection.close()
    note = f"{each / same:.1f} times bare SQL ({same:.3f} ms); the write lock was held {max(times):.0f} ms at most"
    show(f"fleet: {words}, for each agent", each, each, note=note, ratio=each / same)


@contextmanager
def held() -> Iterator[list[float]]:
    """Yield the list to which is added for how many ms each outermost write transaction was open."""
    times: list[float] = []
    began, passed = WriteLock.has_begun, WriteLock.release
    since: list[float] = []

    def has_begun(lock: WriteLock) -> None:
        began(lock)
        since.append(time.perf_counter())

    def release(lock: WriteLock) -> None:
        times.append((time.perf_counter() - since[0]) * 1000)
        since.clear()
        passed(lock)

    with patch.object(WriteLock, "has_begun", has_begun), patch.object(WriteLock, "release", release):
        yield times
