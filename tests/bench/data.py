"""A large store, made with plain SQL: agents, small transitions, events, and one agent with a long heavy past."""

import itertools
import json
import os
import random
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# As few as fill a page of each kind: a session has 200 events.
SMALL_ROWS: Final = {"agents": 1_000, "transitions": 1_000, "events": 10_200, "heavy": 1_000}
_USUAL_ROWS: Final = {"agents": 100_000, "transitions": 1_000_000, "events": 1_000_000, "heavy": 10_000}
START = 1_790_000_000
TYPES = ("message", "thought", "tool_use", "tool_result", "error", "commit", "metric")
WORDS = [
    "parser", "token", "tree", "region", "budget", "patch", "rejected", "goal", "review", "deploy", "latency", "cache",
    "retry", "schema", "merge",
]  # fmt: skip
# As in a living language: many sounds, few of them common.
ONSETS = [
    "t", "s", "r", "l", "n", "d", "m", "c", "p", "b", "f", "st", "pr", "tr", "h", "g", "w", "v", "th", "sh", "ch", "br",
    "cr", "gr", "pl", "k", "bl", "cl", "fl", "sp", "str", "dr", "fr", "sc", "qu", "sk", "gl", "sw", "sl", "j", "sn",
]  # fmt: skip
NUCLEI = ["e", "a", "i", "o", "u", "ea", "ai", "ou", "io", "oo", "ee", "ie", "y", "oa", "au", "oi"]
CODAS = [
    "", "n", "r", "s", "t", "l", "ng", "nt", "d", "m", "ck", "st", "nd", "p", "rd", "ss", "ll", "ft", "x", "lt", "rm",
]  # fmt: skip


def rows() -> dict[str, int]:
    """Return how many rows of each kind the store gets: BENCH_AGENTS, BENCH_TRANSITIONS, BENCH_EVENTS, BENCH_HEAVY."""
    return {kind: int(os.environ.get(f"BENCH_{kind.upper()}", usual)) for kind, usual in _USUAL_ROWS.items()}


def made_up(chance: random.Random) -> str:
    """Return a word of one to four syllables that nobody has heard."""
    sounds = [_sound(chance, kind) for _ in range(chance.randint(1, 4)) for kind in (ONSETS, NUCLEI, CODAS)]
    return "".join(sounds)


def _sound(chance: random.Random, sounds: list[str]) -> str:
    return chance.choices(sounds, [1 / (rank + 2) for rank in range(len(sounds))])[0]


def vocabulary(count: int = 20_000) -> list[str]:
    """Return words from common to rare: those of the trade, then made-up ones."""
    chance = random.Random(11)
    made = (made_up(chance) for _ in itertools.count())
    return list(dict.fromkeys(itertools.chain(WORDS, itertools.islice(made, count * 2))))[:count]


def fill(path: Path, *, agents: int, transitions: int, events: int, heavy: int) -> None:
    """Add rows to a migrated store: agents of 2 KB, transitions of 0.5 KB, events, `heavy` transitions of 11 KB."""
    chance = random.Random(7)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executemany(
        "INSERT INTO agent_states (key, agent_id, name, status, state_data, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        _agents(chance, agents),
    )
    connection.executemany(
        "INSERT INTO state_transitions (id, agent_id, state_before, state_after, reason, timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        _transitions(chance, transitions, agents),
    )
    connection.executemany(
        "INSERT INTO state_transitions (id, agent_id, state_before, state_after, reason, timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        _heavy(heavy),
    )
    connection.executemany(
        "INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content)"
        " VALUES (?, ?, ?, ?, 'Agent', ?, ?)",
        _events(chance, events, agents),
    )
    connection.commit()
    connection.close()


def state(size: int, step: int) -> str:
    """Return a state of about `size` bytes."""
    messages = [{"role": "tool", "content": "x" * 80, "n": n} for n in range(max(1, size // 120))]
    return json.dumps({"plan": {"goal": "refactor", "step": step}, "messages": messages, "budget": {"spent": step / 7}})


def _agents(chance: random.Random, count: int) -> Iterator[tuple[object, ...]]:
    statuses = ("idle", "running", "completed", "failed", "paused")
    text = state(2000, 1)
    for n in range(count):
        agent_id = f"agent-{n:06d}"
        name = f"{chance.choice(WORDS).title()} {n}"
        status = chance.choices(statuses, (50, 20, 20, 5, 5))[0]
        yield f"team-{n % 12}:{agent_id}", agent_id, name, status, text, START, START + n


def _transitions(chance: random.Random, count: int, agents: int) -> Iterator[tuple[object, ...]]:
    before, after = state(240, 1), state(240, 2)
    for n in range(count):
        agent = f"agent-{n % max(agents, 1):06d}"
        yield str(uuid.UUID(int=chance.getrandbits(128))), agent, before, after, "tool finished", START + n // 3


def _heavy(count: int) -> Iterator[tuple[object, ...]]:
    for n in range(count):
        yield f"heavy-{n}", "agent-000000", state(11_000, n), state(11_000, n + 1), f"turn {n}", START + n


def _events(chance: random.Random, count: int, agents: int) -> Iterator[tuple[object, ...]]:
    words = vocabulary()
    # As in any language: the n-th word is used 1/n as often as the first.
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for n in range(count):
        content = " ".join(chance.choices(words, cum_weights=weights, k=40)) + f" #{n}"
        agent = f"agent-{n % max(agents, 1):06d}"
        yield f"e{n}", TYPES[n % len(TYPES)], START + n // 4, f"session-{n // 200}", agent, content
