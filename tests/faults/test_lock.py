"""While another program holds the write lock, reads go on, writes say so within six seconds, and work afterwards."""

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

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

PAGES = ("/", "/agents/", "/agents/quiet-0/", "/agents/planner/", "/snapshots/", "/restores/", "/events/", "/audit/")
# Twice as many as the server has threads.
WRITERS = 8
READ_SECONDS = 0.3
ANSWER_SECONDS = 6
AGAIN_SECONDS = 1


def too_slow(answers: list[Answer], slack: float = 0) -> list[str]:
    """Return the reads that failed, and the 99th percentile where it is over the bound."""
    wrong = [str(answer) for answer in answers if answer.status != 200]
    slow = percentile(answers)
    return wrong + ([f"one in a hundred reads takes {slow:.2f} s or more"] if slow > READ_SECONDS + slack else [])


def percentile(answers: list[Answer]) -> float:
    """Return the seconds within which 99 of 100 answers came (nearest rank)."""
    return sorted(answer.seconds for answer in answers)[math.ceil(0.99 * len(answers)) - 1]


@contextmanager
def everything_locked(site: Site) -> Iterator[None]:
    """Hold a lock during the block that shuts readers out too: the canary."""
    connection = sqlite3.connect(site.store, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def write(visitor: Visitor, agent_id: str, snapshot_id: str, etag: str, answers: list[Answer]) -> None:
    with visitor:
        answers.append(visitor.restore_seen(agent_id, snapshot_id, etag))


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_a_held_write_lock_stops_writes_only_and_they_say_so(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site, hold = make_site(journal_mode, quick_disk), times(8, 30)
    before = {agent_id: site.state(agent_id) for agent_id in QUIET}
    agent_id, snapshot_id = QUIET[0], site.snapshots(QUIET[0])[0]
    refused: list[Answer] = []
    reads: list[Answer] = []
    with serving(site) as server, Visitor(server.port) as reader:
        reader.sign_in()
        etag = hidden(reader.preview(agent_id, snapshot_id), "etag")
        # On a busy machine pages are slow without any lock: what counts is what the lock adds.
        slack = percentile([reader.get(path) for path in PAGES * 10])
        with writer.running(site.store, "--hold", str(hold)) as holder:
            clicks = [
                threading.Thread(target=write, args=(reader.another(), agent_id, snapshot_id, etag, refused))
                for _ in range(WRITERS)
            ]
            for click in clicks:
                click.start()
            locked = time.monotonic()
            for path in itertools.cycle(PAGES):
                reads.append(reader.get(path))
                if time.monotonic() - locked > hold - 1.5 and not any(click.is_alive() for click in clicks):
                    break
            assert holder.process.poll() is None, "the lock was released too early"
            untouched = {agent_id: site.state(agent_id) for agent_id in QUIET} == before
        began = time.monotonic()
        done = reader.restore(agent_id, snapshot_id)
        again = time.monotonic() - began
    wrong = too_slow(reads, slack) + unsound(site.rows) + damage(site.rows, initial=before)
    wrong += [str(answer) for answer in refused if not (answer.status == 503 and "retry-after" in answer.headers)]
    wrong += [str(answer) for answer in refused if answer.seconds > ANSWER_SECONDS + slack]
    wrong += [] if untouched else ["a refused write changed something"]
    wrong += [] if restore_id(done) and again <= AGAIN_SECONDS + slack else [f"after {again:.1f} s: {done}"]
    caught = shut_out(make_site(journal_mode, quick_disk / "canary"))
    tell(
        f"write lock held, {WRITERS} waiting ({journal_mode})", held=f"{hold} s", reads=len(reads),
        p99=f"{percentile(reads):.3f} s", p99_unlocked=f"{slack:.3f} s",
        refused=sorted(answer.status for answer in refused),
        slowest_refusal=f"{max(answer.seconds for answer in refused):.1f} s", again=f"{again:.2f} s",
        failures=len(wrong), canary="flagged" if caught else "NOT flagged",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert len(refused) == WRITERS
    assert caught


def shut_out(site: Site) -> list[str]:
    """Return what is wrong with reads while even these are locked out."""
    with serving(site) as server, Visitor(server.port) as reader:
        reader.sign_in()
        reader.get("/agents/")
        server.stop()
    with serving(site) as server, Visitor(server.port, reader.cookies) as late, everything_locked(site):
        return too_slow([late.get("/agents/"), late.get("/agents/")])
