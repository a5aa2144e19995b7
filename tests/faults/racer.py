"""A process that takes part in races: plans when told, then at the word "go" restores, or saves as the orchestrator.

One JSON line in, one JSON line out. `python -m tests.faults.racer restorer` sets Django up on STORE_URL;
`… saver FILE` is the orchestrator's stand-in and imports nothing of ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.foreign.orchestrator import Orchestrator
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Racer:
    """The handle by which a test drives one of these processes."""

    process: subprocess.Popen[str]

    def tell(self, **order: Any) -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for one line and return it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "a racer died"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def racing(*words: str, environment: dict[str, str] | None = None) -> Iterator[Racer]:
    """Yield a racer that is ready."""
    command = [sys.executable, "-m", "tests.faults.racer", *words]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment or dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        racer = Racer(process)
        try:
            racer.hear()
            yield racer
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=HANG_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def _orders() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def _restore(name: str) -> None:
    import django

    django.setup()
    from statestore import restore
    from statestore.access.audit import Actor
    from statestore.errors import Conflict, StateStoreError
    from tests.faults import broken

    orders = _orders()
    by = Actor(name)
    _say(ready=True)
    for order in orders:
        planned = restore.plan(order["agent"], f"snapshot:{order['snapshot']}")
        is_canary = order.get("canary", False)
        if is_canary:
            broken.check(planned)
        _say(etag=planned.expected_etag, seen=planned.agent.state_data)
        next(orders)
        try:
            done = broken.write_unchecked(planned, by=by) if is_canary else restore.apply(planned, by=by)
            _say(outcome="won", restore=done.pk)
        except Conflict:
            _say(outcome="conflict")
        except StateStoreError as error:
            _say(outcome=f"{type(error).__name__}: {error}")


def _save(path: str) -> None:
    with Orchestrator(path) as orchestrator:
        _say(ready=True)
        for order in _orders():
            orchestrator.save_agent(order["agent"], order["state"], status="idle")
            _say(outcome="saved")


if __name__ == "__main__":
    _restore(sys.argv[2]) if sys.argv[1] == "restorer" else _save(sys.argv[2])
