"""The measurements of upkeep: what the archive saves and costs, and how long a backup takes."""

import json
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from django.db import connections

from statestore import archive, backups, models
from statestore.access.audit import SYSTEM
from statestore.archive.candidates import records_of
from statestore.db.routers import store_alias
from tests.bench import data
from tests.bench.figures import show, show_rate, show_ratio, timed

STATES = 1_000


def measure() -> None:
    """Archive two pasts and read them, then take a backup; the store is left as it was."""
    for name, states in (("a growing conversation", _conversation()), ("random edits of 40 KB", _edits())):
        _archive(name, list(states))
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        backup = backups.take(Path(directory))
        seconds = time.perf_counter() - began
        show_rate("backup, verified and compared", backup.bytes / 1e6 / seconds, "MB")


def _conversation() -> Iterator[str]:
    chance, messages = random.Random(1), list[dict[str, str]]()
    for number in range(STATES):
        messages.append({"role": "assistant" if number % 2 else "user", "content": _words(chance, 12)})
        yield json.dumps({"step": number, "messages": messages})


def _edits() -> Iterator[str]:
    chance = random.Random(2)
    state = {f"key {number}": _words(chance, 6) for number in range(1_000)}
    for _ in range(STATES):
        for _ in range(5):
            state[f"key {chance.randrange(1_000)}"] = _words(chance, 6)
        yield json.dumps(state)


def _words(chance: random.Random, count: int) -> str:
    return " ".join(f"{chance.getrandbits(24):06x}" for _ in range(count))


def _archive(name: str, states: list[str]) -> None:
    using, agent_id = store_alias(), f"bench {name}"
    models.AgentState.objects.create(
        key=agent_id,
        agent_id=agent_id,
        name=agent_id,
        state_data=states[-1],
        created_at=data.START,
        updated_at=data.START,
    )
    models.Transition.objects.bulk_create(
        [
            models.Transition(agent_id=agent_id, state_before=before, state_after=after, timestamp=data.START + number)
            for number, (before, after) in enumerate(pairwise(states))
        ]
    )
    archive.switch_on(using)
    records = records_of(using, agent_id, data.START + STATES)
    began = time.perf_counter()
    moved = archive.archive_agent(using, agent_id, records, by=SYSTEM)
    seconds = time.perf_counter() - began
    show_ratio(f"archive: {name}, times smaller", sum(map(len, states)) / moved.packed_bytes)
    show_rate(f"archive: {name}", moved.records / seconds, "states")
    rows = models.Transition.objects.of_agent(agent_id).order_by("?").values_list("pk", flat=True)
    ids = iter([*rows[:50], *rows[:50]])

    def read() -> None:
        connections[using].statestore_frames = None  # Its frame is read anew each time.
        models.Transition.objects.get(pk=next(ids))

    show(f"archive: read a transition of {name}", *timed(read, 60))
    models.Transition.objects.of_agent(agent_id).delete()
    models.AgentState.objects.filter(agent_id=agent_id).delete()
