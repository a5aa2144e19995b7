"""While another program holds the write lock, reads go on, writes are refused in words, and work afterwards."""

import itertools
import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import Answer, Visitor, hidden, restore_id, serving
from tests.faults.sites import JOURNAL_MODES, QUIET, Site, SiteMaker
from tests.faults.wholeness import damage, unsound
from tests.foreign import writer
from tests.foreign.orchestrator import Orchestrator
from tests.waiting import HANG_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

PAGES = ("/", "/agents/", "/agents/quiet-0/", "/agents/planner/", "/snapshots/", "/restores/", "/events/", "/audit/")
# Twice as many as the server has threads.
WRITERS = 8
ROUNDS = times(5, 100)
# The orchestrator gives up after its own patience; eight of our writes at once must not add theirs up.
SLOWER_AT_MOST = 1.5


def failed(answers: list[Answer]) -> list[str]:
    return [str(answer) for answer in answers if answer.status != 200]


def delayed(answers: list[Answer], waited_seconds: float) -> list[str]:
    """Return the answers that took half as long as the orchestrator waited for the lock in vain, or longer."""
    return [str(answer) for answer in answers if answer.seconds > waited_seconds / 2]


def percentile(answers: list[Answer]) -> float:
    """Return the seconds within which 99 of 100 answers came (nearest rank)."""
    return sorted(answer.seconds for answer in answers)[math.ceil(0.99 * len(answers)) - 1]


@contextmanager
def everything_locked(site: Site) -> Iterator[None]:
    """Hold a lock during the block that shuts readers out too: the canary."""
    connection = sqlite3.connect(site.store, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def give_up(site: Site, waits: list[float]) -> None:
    """Save as the orchestrator does, and note how long it waited for the lock before it lost its save."""
    began = time.perf_counter()
    with pytest.raises(sqlite3.OperationalError), Orchestrator(site.store) as orchestrator:
        orchestrator.save_agent("waiting", "{}")
    waits.append(time.perf_counter() - began)


def write(visitor: Visitor, agent_id: str, snapshot_id: str, etag: str, answers: list[Answer]) -> None:
    with visitor:
        answers.append(visitor.restore_seen(agent_id, snapshot_id, etag))


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_a_held_write_lock_stops_writes_only_and_they_say_so(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site = make_site(journal_mode, quick_disk)
    before = {agent_id: site.state(agent_id) for agent_id in QUIET}
    agent_id, snapshot_id = QUIET[0], site.snapshots(QUIET[0])[0]
    refused: list[Answer] = []
    patience: list[float] = []
    reads: list[Answer] = []
    with serving(site) as server, Visitor(server.port) as reader:
        reader.sign_in()
        etag = hidden(reader.preview(agent_id, snapshot_id), "etag")
        unlocked = percentile([reader.get(path) for path in PAGES * 3])
        # The writer holds the lock until it is stopped at the end of the block.
        with writer.running(site.store, "--hold", str(60 * HANG_SECONDS)) as holder:
            clicks = [
                threading.Thread(target=write, args=(reader.another(), agent_id, snapshot_id, etag, refused))
                for _ in range(WRITERS)
            ]
            clicks.append(threading.Thread(target=give_up, args=(site, patience)))
            for click in clicks:
                click.start()
            rounds = itertools.count(1)
            while next(rounds) <= ROUNDS or any(click.is_alive() for click in clicks):
                reads += [reader.get(path) for path in PAGES]
            assert holder.process.poll() is None, "the lock was released too early"
            untouched = {agent_id: site.state(agent_id) for agent_id in QUIET} == before
        done = reader.restore(agent_id, snapshot_id)
    (waited,), waits = patience, [answer.seconds for answer in refused]
    wrong = failed(reads) + delayed(reads, waited) + unsound(site.rows) + damage(site.rows, initial=before)
    wrong += [str(answer) for answer in refused if not (answer.status == 503 and "retry-after" in answer.headers)]
    wrong += [str(answer) for answer in refused if answer.seconds > SLOWER_AT_MOST * waited]
    wrong += [] if untouched else ["a refused write changed something"]
    wrong += [] if restore_id(done) and not delayed([done], waited) else [f"with the lock released: {done}"]
    tell(
        f"write lock held, {WRITERS} waiting ({journal_mode})", reads=len(reads),
        p99=f"{percentile(reads):.3f} s", p99_unlocked=f"{unlocked:.3f} s",
        refused=sorted(answer.status for answer in refused), refused_after=f"{min(waits):.1f}-{max(waits):.1f} s",
        orchestrator_waited=f"{waited:.1f} s",
        again=f"{done.seconds:.2f} s", failures=len(wrong), canary="below",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert len(refused) == WRITERS


def test_reads_that_wait_for_a_lock_are_noticed(make_site: SiteMaker, quick_disk: Path):
    site = make_site("delete", quick_disk)
    with serving(site) as server, Visitor(server.port) as reader:
        reader.sign_in().get("/agents/")
        patience: list[float] = []
        with everything_locked(site):
            waiting = threading.Thread(target=give_up, args=(site, patience))
            waiting.start()
            answers = [reader.get("/agents/")]
            waiting.join()
    caught = failed(answers) + delayed(answers, *patience)
    tell("write lock held, canary", failures=0, canary=f"{len(caught)} answers flagged")
    assert caught
