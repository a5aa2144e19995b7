"""`make load`: mixes of reads and saves over HTTP by wrk, on SQLite and PostgreSQL, with 1, 2 and 4 server processes.

Each line: requests a second, median and 99th percentile of their time, and how many were refused or lost. On a machine
that others use, or with as many connections as cores, compare lines of one run alone.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests import postgres
from tests.faults.server import HOST, Server, Visitor, serving
from tests.faults.sites import MAKE_PERSON, NAME, Site

SECONDS: Final = int(os.environ.get("LOAD_SECONDS", "8"))
CONNECTIONS: Final = 16
WORKERS: Final = (1, 2, 4)
# {mix: how many percent of its requests save a state}
MIXES: Final = {"reads": 0, "9 reads, 1 save": 10, "saves": 100}
AGENTS: Final = 1_000
_WARMING_SECONDS: Final = 2
_SCRIPT: Final = Path(__file__).parent / "mix.lua"
_FILL: Final = """
import json
from statestore.store import StateStore
store = StateStore()
for number in range(agents):
    status = "failed" if number % 20 == 0 else "idle"
    for step in range(2):
        state = json.dumps({"step": step, "notes": "n" * 2000})
        store.save_agent_state(f"agent-{number}", state, name=f"Agent {number}", status=status, reason="load")
events = [
    {"event_type": "message", "session_id": f"s-{number % 50}", "actor_type": "Agent",
     "actor_id": f"agent-{number % agents}", "content": f"step {number}: the parser is done"}
    for number in range(10_000)
]
store.save_events(events)
"""


@dataclass(frozen=True)
class Loaded(Site):
    """An installation of its own, whose variables name its databases."""

    variables: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process of the dashboard is started with."""
        return {**super().environment, "API_RATE": "10000000/minute", **dict(self.variables)}


def main() -> int:
    """Measure all, and return 1 if a request was lost."""
    if shutil.which("wrk") is None:
        print("wrk is not installed. On Debian: apt-get install wrk")
        return 1
    print(f"{CONNECTIONS} connections for {SECONDS} s each, {AGENTS:,} agents, 10,000 events")
    lost = 0
    for database, opened in {"SQLite": _on_sqlite, "PostgreSQL": _on_postgresql}.items():
        with opened() as site:
            if site is None:
                print(f"{database:<11} SKIPPED: PostgreSQL is not installed. On Debian: apt-get install postgresql")
                continue
            for workers in WORKERS:
                lost += sum(found["lost"] for found in _measured(database, site, workers))
    return 1 if lost else 0


@contextmanager
def _on_sqlite() -> Iterator[Site | None]:
    with tempfile.TemporaryDirectory(prefix="statestore-load-") as home:
        yield _filled(Loaded(Path(home) / "store.db", Path(home) / "dashboard.db"))


@contextmanager
def _on_postgresql() -> Iterator[Site | None]:
    if postgres.binaries() is None:
        yield None
        return
    with postgres.running_cluster() as cluster, tempfile.TemporaryDirectory(prefix="statestore-load-") as home:
        yield _filled(
            Loaded(Path(home) / "store.db", Path(home) / "dashboard.db", variables=tuple(cluster.urls.items()))
        )


def _filled(site: Site) -> Site:
    site.manage("migrate")
    site.manage("migrate", "--database", "store")
    site.manage("shell", "-v", "0", "-c", MAKE_PERSON)
    site.manage("shell", "-v", "0", "-c", f"agents = {AGENTS}{_FILL}")
    return site


def _measured(database: str, site: Site, workers: int) -> Iterator[dict[str, Any]]:
    token = site.manage("token", "create", f"load {workers}", "--user", NAME, "--scopes", "read,write").strip()
    with serving(site, "--workers", str(workers)) as server:
        cookie = _cookie(server)
        # Each process compiles its templates with its first pages.
        _wrk(server, cookie, token, 0, seconds=_WARMING_SECONDS * workers)
        for mix, saves in MIXES.items():
            found = _wrk(server, cookie, token, saves, seconds=SECONDS)
            rate = found["requests"] / found["seconds"]
            print(
                f"{database:<11} {workers} process{'es' if workers > 1 else '':<2} {mix:<16} {rate:8,.0f}/s"
                f"   p50 {found['p50']:8.1f} ms   p99 {found['p99']:8.1f} ms   refused {found['refused']:,}"
                f"   lost {found['lost']:,}",
                flush=True,
            )
            yield found


def _cookie(server: Server) -> str:
    with Visitor(server.port) as visitor:
        visitor.sign_in()
        return "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


def _wrk(server: Server, cookie: str, token: str, saves: int, *, seconds: int) -> dict[str, Any]:
    words = [
        "wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", "--timeout", "10s",
        "--script", str(_SCRIPT), f"http://{HOST}:{server.port}", "--", cookie, token, str(saves), str(AGENTS),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


if __name__ == "__main__":
    sys.exit(main())
