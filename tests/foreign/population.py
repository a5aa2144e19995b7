"""A modest fleet in a file: agents of two prefixes whose states grew turn by turn, and all that happened meanwhile."""

import json
import random
from pathlib import Path
from typing import Any

from tests.foreign.orchestrator import Orchestrator

AGENTS = {"alpha": ("planner", "coder", "reviewer"), "beta": ("tester", "writer")}
TURNS = 12
START = 1_795_000_000


def unhurried(path: Path | str, prefix: str | None = None) -> Orchestrator:
    """Return an orchestrator that does not wait for the disk: nobody needs these rows after a power cut."""
    orchestrator = Orchestrator(path, prefix=prefix)
    orchestrator.connection.execute("PRAGMA synchronous = OFF")
    return orchestrator


def populate(path: Path | str, *, start: int = START, seed: int = 7) -> None:
    """Fill a version 4 or 5 file; the same seed gives the same states, reasons and texts."""
    chance = random.Random(seed)
    tasks = _save_tasks(path, start)
    for prefix, names in AGENTS.items():
        with unhurried(path, prefix) as orchestrator:
            for name in names:
                _live(orchestrator, name, chance.choice(tasks), chance, start)


def populate_init(path: Path | str, *, start: int = START) -> None:
    """Put an agent, a few events and tasks into a file of the `init` layout."""
    with unhurried(path) as orchestrator:
        orchestrator.connection.execute(
            "INSERT INTO agents (id, name, status, model_backend, started_at, task) VALUES (?, ?, ?, ?, ?, ?)",
            ("a-1", "first", "running", "local", start, "look around"),
        )
        for number in range(5):
            orchestrator.save_event(f"event {number}", event_id=f"e-{number}", at=start + number)
            orchestrator.save_task(f"task {number}", task_id=f"t-{number}", at=start + number)


def _save_tasks(path: Path | str, start: int) -> list[str]:
    ids: list[str] = []
    words = ["parse the log", "fix the flaky test", "write the changelog", "review the patch", "release"]
    with unhurried(path) as orchestrator:
        for number, title in enumerate(words):
            ids.append(
                orchestrator.save_task(
                    title,
                    status=("Done", "InProgress", "Blocked", "Todo", "Todo")[number],
                    priority=("low", "medium", "high", "critical", "medium")[number],
                    dependencies=ids[-1:],
                    task_id=f"task-{number}",
                    at=start + number,
                )
            )
    return ids


def _live(orchestrator: Orchestrator, name: str, task: str, chance: random.Random, start: int) -> None:
    """Let one agent take its turns: each is an event, a transition and a save; every fourth a snapshot."""
    session = f"session-{name}"
    orchestrator.start_session(session, name, at=start)
    state: dict[str, Any] = {"role": name, "task": task, "messages": [], "counters": {"turns": 0, "tokens": 0}}
    before = json.dumps(state)
    orchestrator.save_agent(name, before, at=start)
    for turn in range(1, TURNS + 1):
        at = start + turn * chance.randrange(30, 60)
        reason = chance.choice(["tool returned", "user asked", "plan revised", "retry after error"])
        state["messages"].append({"turn": turn, "role": "assistant", "text": f"{reason}: step {turn} of {task}"})
        state["counters"] = {"turns": turn, "tokens": state["counters"]["tokens"] + chance.randrange(50, 900)}
        after = json.dumps(state)
        orchestrator.save_event(state["messages"][-1]["text"], session_id=session, actor_id=name, at=at)
        orchestrator.record_transition(name, before, after, reason=reason, at=at)
        status = chance.choice(["running", "idle", "failed"]) if turn == TURNS else "running"
        orchestrator.save_agent(name, after, status=status, created_at=start, at=at)
        if turn % 4 == 0:
            orchestrator.create_snapshot(name, after, description=f"after turn {turn}", at=at)
        before = after
