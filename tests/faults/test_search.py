"""While others save, edit and delete events, and the indexer is killed, every word stays exact and nobody waits."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import TEXTBOOK, by_textbook, wrong_words
from tests.faults.scale import tell, times
from tests.faults.sites import JOURNAL_MODES, ROOT, Site, SiteMaker
from tests.foreign import events, writer
from tests.foreign.harm import held_seconds, watched
from tests.foreign.orchestrator import Orchestrator
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

IDS = 500
WORDS = 300
CANARY_STATEMENTS = 1_500


def start_indexer(site: Site) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", "index", "--follow"]
    return subprocess.Popen(command, cwd=ROOT, env=site.environment, stdin=subprocess.PIPE)


def token(site: Site) -> Any:
    return site.rows("SELECT token FROM dash_index")


def check(site: Site) -> dict[str, Any]:
    # descartes_site chooses the SQLite library of a process, and must be there first.
    code = f"import descartes_site; from tests.faults.checker import main; main({WORDS})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=site.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kill_while_indexing(site: Site) -> None:
    """Start the indexer, let it get something done, and end it as a crash would."""
    process = start_indexer(site)
    try:
        before = token(site)
        wait_for(lambda: token(site) != before, "progress of the index", is_alive=lambda: process.poll() is None)
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def vacuum(site: Site) -> None:
    connection = sqlite3.connect(site.store, timeout=5, isolation_level=None)
    connection.execute("VACUUM")
    connection.close()


def retain(site: Site) -> None:
    """Delete the oldest events in small portions, as retention does."""
    connection = sqlite3.connect(site.store, timeout=5, isolation_level=None)
    for _ in range(5):
        connection.execute("DELETE FROM events WHERE rowid IN (SELECT rowid FROM events ORDER BY timestamp LIMIT 10)")
    connection.close()


@pytest.mark.alone
@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_every_word_is_exact_after_a_storm(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site, kills = make_site(journal_mode, quick_disk), times(2, 50)
    arguments = ("--per-second", "120", "--events", str(IDS))
    with watched(site.store, *arguments, writers=2) as run:
        for number in range(kills):
            kill_while_indexing(site)
            if number == kills // 2:
                vacuum(site)
                retain(site)
    behind = check(site)
    site.manage("index")
    after = check(site)
    canary = wrong_in_the_textbook(quick_disk / "canary.db")
    held = held_seconds(make_site(journal_mode, quick_disk / "held").store)
    harm = run.harm(held)
    tell(
        f"search in a storm ({journal_mode})", kills=kills, saves=len(run.saves), lost_saves=len(run.lost),
        worst_wait=f"{run.worst_wait_seconds:.3f} s", control=f"{run.control.worst_wait_seconds:.3f} s",
        words=after["asked"], wrong_while_behind=len(behind["wrong"]), failures=len(after["wrong"]) + len(harm),
        canary=f"{len(canary)} words flagged",
    )  # fmt: skip
    assert harm == []
    assert after["asked"] == WORDS
    assert behind["wrong"] == []
    assert after["wrong"] == []
    assert site.rows("SELECT count(*) FROM dash_dirty") == [(0,)]
    assert canary


def wrong_in_the_textbook(path: Path) -> list[str]:
    """Return the words that the textbook's index answers wrongly after the same statements, by the same checker."""
    from tests.foreign import orchestrator

    orchestrator.create(path)
    with Orchestrator(path) as foreign:
        foreign.connection.execute("PRAGMA synchronous = OFF")
        for statement in TEXTBOOK.split(";\n\n"):
            foreign.connection.executescript(statement)
        unrest = events.unrest(foreign, IDS, seed=3)
        for _ in range(CANARY_STATEMENTS):
            try:
                next(unrest)[1]()
            except sqlite3.DatabaseError:
                continue  # It is so far gone that the orchestrator's own save fails.
    connection = sqlite3.connect(path)
    return wrong_words(connection, by_textbook(connection), WORDS)[0]


RELOAD = """
import sqlite3, sys
old, new = map(sqlite3.connect, sys.argv[1:])
new.executescript("\\n".join(old.iterdump()))
"""


def reload(store: Path) -> None:
    """Put a file in the store's place that was made anew from its dump, as `sqlite3 old .dump | sqlite3 new` does."""
    fresh = store.with_suffix(".fresh")
    # Python's own library can dump; the one that this process took in its place cannot.
    subprocess.run([sys.executable, "-I", "-c", RELOAD, str(store), str(fresh)], check=True)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{suffix}").unlink(missing_ok=True)
    fresh.rename(store)


def test_every_word_is_exact_after_a_dump_and_reload(make_site: SiteMaker, quick_disk: Path):
    site = make_site("delete", quick_disk)
    with writer.running(site.store, "--per-second", "500", "--events", str(IDS)) as one:
        one.await_saves(600)
    site.manage("index")
    retain(site)
    rowids = site.rows("SELECT id, rowid FROM events ORDER BY id")
    reload(site.store)
    assert site.rows("SELECT id, rowid FROM events ORDER BY id") != rowids, "the reload left every row in its place"
    assert check(site)["wrong"] == []
    with writer.running(site.store, "--per-second", "500", "--events", str(IDS)) as one:
        one.await_saves(100)
    assert check(site)["wrong"] == []
    site.manage("index")
    assert check(site)["wrong"] == []
