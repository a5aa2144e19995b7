"""The orchestrator at work in a process of its own, and the handle by which a test starts, stops and questions it."""

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.foreign import events
from tests.foreign.orchestrator import Orchestrator, connect
from tests.waiting import HANG_SECONDS, wait_for

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Save into the file until told to stop; print a ready line, a line for each save, and a line at the end."""
    options = _parse()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.seconds is None:
        threading.Thread(target=_stop_when_closed, args=(stop,), daemon=True).start()
    else:
        timer = threading.Timer(options.seconds, stop.set)
        timer.daemon = True
        timer.start()
    if options.hold is not None:
        _hold_lock(options.file, options.hold, stop)
    else:
        _save_until(stop, options)


def _stop_when_closed(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, help="how long; without it, until stdin closes or SIGTERM comes")
    parser.add_argument("--per-second", type=float, default=50, help="saves per second; 0 is as fast as it can")
    parser.add_argument("--agents", type=int, default=3)
    parser.add_argument("--prefix", default=None)
    parser.add_argument("--state-bytes", type=int, default=2_000)
    parser.add_argument("--events", type=int, help="save events alone, again and again over so many ids")
    parser.add_argument("--hold", type=float, help="do not save; hold the write lock for so many seconds")
    return parser.parse_args()


def _say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def _save_until(stop: threading.Event, options: argparse.Namespace) -> None:
    waits: list[float] = []
    failed = 0
    with Orchestrator(options.file, prefix=options.prefix) as orchestrator:
        # Saved once, before anything is timed: a task that is saved again loses the edges that point at it.
        dependencies = () if options.events else (orchestrator.save_task("first"), orchestrator.save_task("second"))
        _say(ready=True, sqlite=sqlite3.sqlite_version)
        work = _work(orchestrator, options.agents, options.state_bytes, dependencies)
        for noun, save in events.unrest(orchestrator, options.events) if options.events else work:
            if stop.is_set():
                break
            milliseconds, error = _timed(save)
            waits.append(milliseconds)
            failed += error is not None
            _say(save=noun, ms=milliseconds, ok=error is None, error=error)
            if options.per_second:
                stop.wait(max(0.0, 1 / options.per_second - milliseconds / 1000))
    _say(done=True, saves=len(waits), failed=failed, worst_ms=max(waits, default=0.0))


def _timed(save: Callable[[], object]) -> tuple[float, str | None]:
    started = time.perf_counter()
    try:
        save()
        error = None
    except sqlite3.Error as failure:
        error = f"{type(failure).__name__}: {failure}"
    return round((time.perf_counter() - started) * 1000, 3), error


def _work(
    orchestrator: Orchestrator, agents: int, state_bytes: int, dependencies: Sequence[str]
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield saves without end: per turn an agent, its transition, an event and a task."""
    states = {f"busy-{number}": "{}" for number in range(agents)}
    turn = 0
    while True:
        for agent_id, before in list(states.items()):
            turn += 1
            after = json.dumps({"turn": turn, "notes": "n" * state_bytes})
            states[agent_id] = after
            yield "agent", partial(orchestrator.save_agent, agent_id, after)
            yield "transition", partial(orchestrator.record_transition, agent_id, before, after, reason=f"turn {turn}")
            yield "event", partial(orchestrator.save_event, f"{agent_id} took turn {turn}", actor_id=agent_id)
            yield (
                "task",
                partial(orchestrator.save_task, f"turn {turn}", task_id=task_id(agent_id), dependencies=dependencies),
            )


def task_id(agent_id: str) -> str:
    """Return the id of the task that the writer saves for an agent again and again."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, agent_id))


def _hold_lock(path: str, seconds: float, stop: threading.Event) -> None:
    connection = connect(path)
    connection.execute("BEGIN IMMEDIATE")
    _say(ready=True, holding=True)
    stop.wait(seconds)
    connection.execute("COMMIT")
    connection.close()
    _say(done=True)


@dataclass
class Running:
    """A writer at work. `saves` grows while it runs; after `stop` it is complete."""

    process: subprocess.Popen[str]
    saves: list[dict[str, Any]] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The saves that the orchestrator lost."""
        return [save for save in self.saves if not save["ok"]]

    @property
    def worst_wait_seconds(self) -> float:
        """The longest that any save took."""
        return max((save["ms"] for save in self.saves), default=0.0) / 1000

    def await_saves(self, more: int = 10) -> None:
        """Return when so many more saves were made."""
        wanted = len(self.saves) + more
        wait_for(
            lambda: len(self.saves) >= wanted,
            f"{more} more saves",
            is_alive=lambda: self.process.poll() is None,
        )

    def stop(self) -> None:
        """End the writer in good order and wait for its last line."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(timeout=HANG_SECONDS)

    def kill(self) -> None:
        """End the writer as a crash would."""
        self.process.kill()
        self.process.wait()

    def drain(self) -> None:
        # A full pipe would stop the writer and look like a lock wait.
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "save" in said:
                self.saves.append(said)
            elif said.get("ready"):
                self.ready.set()


@contextmanager
def running(path: Path | str, *arguments: str) -> Iterator[Running]:
    """Yield a writer that is already saving into the file; it is stopped at the end of the block.

    `arguments` are the command line's: "--per-second", "200", "--agents", "5", "--hold", "3" …
    """
    command = [sys.executable, "-m", "tests.foreign.orchestrator", str(path), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    run = Running(process)
    reader = threading.Thread(target=run.drain, daemon=True)
    reader.start()
    try:
        if not run.ready.wait(timeout=HANG_SECONDS):
            raise RuntimeError("the writer did not start")
        yield run
        run.stop()
    finally:
        if process.poll() is None:
            run.kill()
        reader.join(timeout=HANG_SECONDS)
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
