"""`python -m tests.load.ingest`: events a second on PostgreSQL, by the JSON API and by COPY alone, and what each costs.

By the API: `serve --workers 2`, one, two and four clients at once, with the trigram indexes of the search and without
them. Beside the rate stands the processor time of each event, in the server and in PostgreSQL: on a machine that others
use the rate is theirs too, and the processor time hardly.
"""

import http.client
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg

from descartes_site.postgres_cluster import STORE
from tests import postgres
from tests.bench import data
from tests.faults.server import HOST, Server, serving
from tests.faults.sites import MAKE_PERSON, NAME
from tests.load.__main__ import Loaded

SECONDS: Final = float(os.environ.get("LOAD_SECONDS", "8"))
WORKERS: Final = 2
CLIENTS: Final = (1, 2, 4)
BATCHES: Final = (1_000, 10_000)
WORDS: Final = 30
# Bodies that differ; each is sent over and over, since the server makes the ids.
_BODIES: Final = 4
_COPIED: Final = 40_000
_COPIED_AT_ONCE: Final = 5_000
_COLUMNS: Final = "id, event_type, timestamp, session_id, actor_type, actor_id, content, created_at"
_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'events' AND indexname <> 'events_pkey'
 ORDER BY indexdef LIKE '%%USING gin%%', indexname = 'dash_events_content'
"""


def main() -> int:
    """Measure all, and return 1 where there is no PostgreSQL."""
    if postgres.binaries() is None:
        print("PostgreSQL is not installed. On Debian: apt-get install postgresql")
        return 1
    with postgres.running_cluster() as cluster, tempfile.TemporaryDirectory(prefix="statestore-load-") as home:
        site = Loaded(Path(home) / "store.db", Path(home) / "dashboard.db", variables=tuple(cluster.urls.items()))
        site.manage("migrate")
        site.manage("shell", "-v", "0", "-c", MAKE_PERSON)
        place = f"host={cluster.home} user=postgres dbname={STORE}"
        with psycopg.connect(place, autocommit=True) as store:
            _measure(site, store, cluster)
    return 0


def _measure(site: Loaded, store: psycopg.Connection, cluster: postgres.Cluster) -> None:
    bodies = {batch: [_body(batch, number) for number in range(_BODIES)] for batch in BATCHES}
    size = sum(map(len, bodies[BATCHES[0]])) / _BODIES / BATCHES[0]
    print(f"Events of {WORDS} words, {size:.0f} bytes of JSON; {SECONDS:.0f} s each")
    token = site.manage("token", "create", "load", "--user", NAME, "--scopes", "write").strip()
    indexes: list[tuple[str, str]] = store.execute(_INDEXES).fetchall()
    with serving(site, "--workers", str(WORKERS)) as server:
        for with_search in (True, False):
            if not with_search:
                _drop(store, [name for name, sql in indexes if "USING gin" in sql])
            # Both processes load what they need.
            _sent(server, cluster, token, bodies[BATCHES[0]], BATCHES[0], WORKERS)
            for batch, clients in itertools.product(BATCHES, CLIENTS):
                store.execute("TRUNCATE events")
                line = f"API, {batch:,} at a time, {clients} at once{'' if with_search else ', no trigram indexes'}"
                _show(line, *_sent(server, cluster, token, bodies[batch], batch, clients))
    _parts(store, indexes)


def _body(batch: int, seed: int) -> bytes:
    events = [
        {"event_type": kind, "session_id": session, "actor_type": "Agent", "actor_id": agent, "content": content}
        for kind, session, agent, content in itertools.islice(_events(seed), batch)
    ]
    return json.dumps({"events": events}).encode()


def _events(seed: int) -> Iterator[tuple[str, str, str, str]]:
    chance, words = random.Random(seed), data.vocabulary()
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for n in itertools.count():
        content = f"{' '.join(chance.choices(words, cum_weights=weights, k=WORDS))} #{n}"
        yield data.TYPES[n % len(data.TYPES)], f"session-{seed}-{n // 200}", f"agent-{n % 500:06d}", content


def _sent(
    server: Server, cluster: postgres.Cluster, token: str, bodies: Sequence[bytes], batch: int, clients: int
) -> tuple[int, float, float, float]:
    """Return how many events were saved, in how long, and the processor time of the server and of PostgreSQL."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    ends, saved = time.perf_counter() + SECONDS, [0] * clients
    postmaster = int((cluster.home / "data" / "postmaster.pid").read_text().split()[0])

    def send(who: int) -> None:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=120)
        for body in itertools.cycle(bodies):
            if time.perf_counter() > ends:
                break
            connection.request("POST", "/api/v1/events/batch", body, headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer[:300]
            saved[who] += batch
        connection.close()

    threads = [threading.Thread(target=send, args=(who,)) for who in range(clients)]
    began, before = time.perf_counter(), (_processor_seconds(server.process.pid), _processor_seconds(postmaster))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    ours, theirs = _processor_seconds(server.process.pid), _processor_seconds(postmaster)
    return sum(saved), seconds, ours - before[0], theirs - before[1]


def _processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of all below it, also of those that have ended."""
    below: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has just ended.
        child = int(path.parent.name)
        below.setdefault(int(fields[1]), []).append(child)
        ticks[child] = sum(map(int, fields[11:15]))
    found, total = [pid], 0
    while found:
        process = found.pop()
        total += ticks.get(process, 0)
        found += below.get(process, [])
    return total / os.sysconf("SC_CLK_TCK")


def _parts(store: psycopg.Connection, indexes: Sequence[tuple[str, str]]) -> None:
    """Measure COPY alone, with one more index each time."""
    rows = [
        (f"{random.getrandbits(128):032x}", kind, data.START + n // 4, session, "Agent", agent, content, data.START)
        for n, (kind, session, agent, content) in enumerate(itertools.islice(_events(9), _COPIED))
    ]
    present = store.execute(_INDEXES).fetchall()
    _drop(store, [name for name, _ in present])
    _show("COPY: table and primary key", *_copied(store, rows))
    for name, sql in indexes:
        store.execute("TRUNCATE events")
        store.execute(sql)
        _show(f"COPY: and {name}", *_copied(store, rows))
    store.execute("DROP INDEX dash_events_content")
    began, theirs = time.perf_counter(), _processor_seconds(store.info.backend_pid)
    store.execute(dict(indexes)["dash_events_content"])
    theirs = _processor_seconds(store.info.backend_pid) - theirs
    _show("CREATE INDEX dash_events_content afterwards", len(rows), time.perf_counter() - began, 0, theirs)


def _copied(store: psycopg.Connection, rows: Sequence[tuple[object, ...]]) -> tuple[int, float, float, float]:
    began, ours, theirs = time.perf_counter(), time.process_time(), _processor_seconds(store.info.backend_pid)
    for start in range(0, len(rows), _COPIED_AT_ONCE):
        with store.transaction():
            # As statestore.db.bulk does.
            store.execute("SET LOCAL work_mem = '32MB'")
            with store.cursor().copy(f"COPY events ({_COLUMNS}) FROM STDIN") as target:
                for row in rows[start : start + _COPIED_AT_ONCE]:
                    target.write_row(row)
    seconds = time.perf_counter() - began
    return len(rows), seconds, time.process_time() - ours, _processor_seconds(store.info.backend_pid) - theirs


def _drop(store: psycopg.Connection, names: Sequence[str]) -> None:
    for name in names:
        store.execute(f'DROP INDEX "{name}"')


def _show(line: str, events: int, seconds: float, ours: float, theirs: float) -> None:
    print(
        f"{line:<58} {events / seconds:8,.0f}/s   µs of processor: ours {ours / events * 1e6:6.1f}"
        f"   PostgreSQL {theirs / events * 1e6:6.1f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
