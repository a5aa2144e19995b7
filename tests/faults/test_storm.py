"""While people use every page, the orchestrator's saves neither fail nor wait for more than half a second."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import Visitor, serving
from tests.faults.sites import JOURNAL_MODES, Site, SiteMaker
from tests.faults.storm import crowd_at, repeatedly
from tests.faults.wholeness import unsound
from tests.foreign import writer

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

PEOPLE = 3
WAIT_SECONDS = 0.5
# Longer than may be waited for, shorter than the orchestrator's patience.
CANARY_SECONDS = 1.0


def harm(run: writer.Running) -> list[str]:
    """Return the saves that failed or waited too long."""
    slow = [save for save in run.saves if save["ok"] and save["ms"] > WAIT_SECONDS * 1000]
    return [str(save) for save in run.failures + slow]


@contextmanager
def bad_guest(site: Site) -> Iterator[None]:
    """Keep a read open during the block, as a slow page would; in WAL, where that harms nobody, the write lock."""
    connection = sqlite3.connect(site.store, isolation_level=None)
    is_wal = connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.execute("BEGIN IMMEDIATE" if is_wal else "BEGIN")
    connection.execute("SELECT count(*) FROM agent_states").fetchall()
    yield
    connection.execute("ROLLBACK")
    connection.close()


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_the_orchestrator_never_waits_for_the_dashboard(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site, seconds = make_site(journal_mode, quick_disk), times(30, 300)
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        people = [visitor.another() for _ in range(PEOPLE)]
        with writer.running(site.store, "--per-second", "100", "--agents", "4") as run, crowd_at(site, people) as crowd:
            doctors = repeatedly(lambda: site.manage("doctor"), seconds=seconds)
        log = server.log()
    with writer.running(site.store, "--per-second", "100") as canary, bad_guest(site):
        threading.Event().wait(CANARY_SECONDS)
    wrong, caught = harm(run) + crowd.dishonest + unsound(site.rows), harm(canary)
    tell(
        f"storm ({journal_mode})", seconds=seconds, saves=len(run.saves), lost_saves=len(run.failures),
        worst_wait=f"{run.worst_wait_seconds:.3f} s", answers=len(crowd.answers), doctors=doctors,
        outcomes=crowd.outcomes, failures=len(wrong), canary=f"{len(caught)} saves flagged",
    )  # fmt: skip
    assert not wrong, (wrong[:5], log[-2000:])
    assert len(run.saves) > 20 * seconds, "the orchestrator hardly worked"
    for what in ("page", "transition", "preview", "snapshot", "restore", "undo", "status"):
        assert {200, 302} & crowd.outcomes[what].keys(), f"no {what} ever succeeded: {crowd.outcomes}"
    assert caught
