"""Scripts that write through the JSON API without pause, each on a connection of its own."""

import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from tests.faults.server import CONNECTION_LOST, HOST, Server
from tests.faults.sites import LONG_AGO, NAME, Site
from tests.foreign.orchestrator import Orchestrator
from tests.foreign.writer import task_id
from tests.waiting import HANG_SECONDS

FLEET = 200


def add_fleet(site: Site) -> None:
    """Add agents that were changed once, so that a batch can restore them to the time before, and back."""
    with Orchestrator(site.store) as writer:
        writer.connection.execute("BEGIN")
        for number in range(FLEET):
            states = [f'{{"step": {step}, "notes": "{"n" * 2000}"}}' for step in range(2)]
            writer.save_agent(f"fleet-{number}", states[1], status="idle", at=LONG_AGO + 100)
            writer.create_snapshot(f"fleet-{number}", states[0], at=LONG_AGO)
            writer.record_transition(f"fleet-{number}", *states, at=LONG_AGO + 100)
        writer.connection.execute("COMMIT")


def secret_of(site: Site) -> str:
    """Return the secret of a new token that may do anything."""
    return site.manage("token", "create", "storm", "--user", NAME, "--scopes", "read,write,restore").strip()


class Script:
    """One script: a connection, a token, and how often each status was the answer."""

    def __init__(self, server: Server, secret: str) -> None:
        self.connection = http.client.HTTPConnection(HOST, server.port, timeout=HANG_SECONDS)
        self.secret = secret
        self.statuses: Counter[int] = Counter()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON that answers, or None for a refusal."""
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        self.connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
        response = self.connection.getresponse()
        text = response.read()
        self.statuses[response.status] += 1
        return json.loads(text) if text and response.status < 300 else None


Work: TypeAlias = Callable[[Script, int], Iterator[None]]


def save_and_restore(script: Script, number: int) -> Iterator[None]:
    """Save a state, keep a snapshot, save another state and restore the snapshot, again and again."""
    agent = f"/agents/scripted-{number}"
    for turn in itertools.count():
        script.call("PUT", agent, {"state": {"turn": turn, "notes": "n" * 2000}, "reason": f"turn {turn}"})
        snapshot = script.call("POST", f"{agent}/snapshots", {"description": f"turn {turn}"})
        yield
        script.call("PUT", agent, {"state": {"turn": -turn}})
        if snapshot is not None:
            script.call("POST", f"/snapshots/{snapshot['id']}/restore", {"reason": f"turn {turn}"})
        yield


def edit_tasks(script: Script, number: int) -> Iterator[None]:
    """Edit a task that the orchestrator saves all the time: its title, and whether it waits for one task or none."""
    task = f"/tasks/{task_id('busy-0')}"
    for turn in itertools.count():
        script.call("PATCH", task, {"title": f"edited {turn}"})
        yield
        listed = script.call("GET", task)
        first = listed["waits_for"][:1] if listed else []
        script.call("PATCH", task, {"dependencies": first if turn % 2 else []})
        yield


def restore_fleet(script: Script, _number: int) -> Iterator[None]:
    """Restore a fleet to a time and to another one, again and again."""
    for turn in itertools.count():
        at = LONG_AGO + (99 if turn % 2 == 0 else 100)
        preview = script.call("GET", f"/batches/preview?at={at}&q=fleet-") or {"items": []}
        agents = [{"agent": row["address"], "etag": row["etag"]} for row in preview["items"] if row["kind"] == "change"]
        if agents and (batch := script.call("POST", "/batches", {"at": at, "agents": agents})):
            yield
            script.call("POST", f"/batches/{batch['id']}/apply", {})
        yield


@contextmanager
def scripts_at(server: Server, secret: str, *works: Work) -> Iterator[list[Script]]:
    """Run scripts, each its own work without pause, during the block."""
    over = threading.Event()
    scripts = [Script(server, secret) for _ in works]

    def run(script: Script, number: int, work: Work) -> None:
        try:
            for _ in work(script, number):
                if over.is_set():
                    break
        except CONNECTION_LOST:
            script.statuses[0] += 1
        finally:
            script.connection.close()

    threads = [
        threading.Thread(target=run, args=(script, number, work))
        for number, (script, work) in enumerate(zip(scripts, works, strict=True))
    ]
    for thread in threads:
        thread.start()
    try:
        yield scripts
    finally:
        over.set()
        for thread in threads:
            thread.join()
