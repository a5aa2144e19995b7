"""A store, or our own database, that is replaced, moved or deleted while the server has it open."""

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.scale import LONG, tell
from tests.faults.server import Visitor, restore_id, serving
from tests.faults.sites import JOURNAL_MODES, QUIET, Site, SiteMaker
from tests.foreign import orchestrator
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

AGENT = QUIET[0]
# What is acknowledged depends on the journal mode; what is shown does not.
SHOWN_MODES = JOURNAL_MODES if LONG else ("wal",)


def copy_of(file: Path, journal_mode: str) -> Path:
    """Return a copy of a database as it is now, made as a careful person makes one."""
    copy = file.with_name(f"copy-of-{file.name}")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(f"VACUUM INTO '{copy}'")
    connection.close()
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    connection.close()
    return copy


def put_in_place(copy: Path, file: Path) -> None:
    """Replace a database by another one, as `mv` and rsync do, without its log."""
    for suffix in ("-wal", "-shm", "-journal"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    os.replace(copy, file)


def acknowledged_but_missing(site: Site, visitor: Visitor) -> list[str]:
    """Do what is acknowledged by its answer, each in turn, and return what is not in the file that the path names."""
    missing = []
    for number in range(5):
        words = f"kept after the file was replaced, {number}"
        answer = visitor.post(f"/agents/{AGENT}/snapshot/", description=words)
        kept = site.rows("SELECT 1 FROM state_snapshots WHERE description = ?", words)
        if answer.status == 302 and not kept:
            missing.append(f"snapshot {number}")
    for snapshot_id in site.snapshots(AGENT):
        done = restore_id(visitor.restore(AGENT, snapshot_id))
        if done and not site.rows("SELECT 1 FROM dash_restore WHERE id = ?", done):
            missing.append(f"restore {done}")
    return missing


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_what_is_acknowledged_is_in_the_file_that_the_path_names(
    make_site: SiteMaker, journal_mode: str, quick_disk: Path
):
    site = make_site(journal_mode, quick_disk)
    missing, outcomes = replaced(site, journal_mode)
    stock = replace(make_site(journal_mode, quick_disk / "canary"), settings="tests.faults.stock_settings")
    caught, refused = replaced(stock, journal_mode)
    tell(f"replaced ({journal_mode})", outcomes=outcomes, failures=len(missing), canary=f"{len(caught)} flagged")
    assert not missing
    assert set(outcomes) == {302}, "writes were refused although the file that is there takes them"
    # In rollback mode, SQLite itself refuses to write to a file that was moved.
    assert caught if journal_mode == "wal" else set(refused) != {302}


def replaced(site: Site, journal_mode: str) -> tuple[list[str], list[int]]:
    """Return what is missing after the store was replaced under a server, and the statuses of its answers."""
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        copy = copy_of(site.store, journal_mode)
        # Each of the server's threads has the file open.
        for _ in range(12):
            with visitor.another() as window:
                window.get("/agents/")
        put_in_place(copy, site.store)
        before = len(visitor.answers)
        missing = acknowledged_but_missing(site, visitor)
        return missing, [answer.status for answer in visitor.answers[before:] if answer.method == "POST"]


@pytest.mark.parametrize("journal_mode", SHOWN_MODES)
def test_pages_and_search_show_the_file_that_is_there_now(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site = make_site(journal_mode, quick_disk)
    with orchestrator.Orchestrator(site.store) as writer:
        writer.save_event("aardvark", event_id="00000000-0000-4000-8000-000000000001")
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        wait_for(lambda: "aardvark" in found(visitor, "aardvark"), "the first event's search")
        copy = copy_of(site.store, journal_mode)
        with orchestrator.Orchestrator(site.store) as writer:
            writer.save_event("buffalo", event_id="00000000-0000-4000-8000-000000000002")
            writer.save_agent("only-before", "{}")
        wait_for(lambda: "buffalo" in found(visitor, "buffalo"), "the second event's search")
        wait_for(lambda: not is_lagging(site), "the index")
        assert visitor.get("/agents/only-before/").status == 200
        put_in_place(copy, site.store)
        assert visitor.get("/agents/only-before/").status == 404
        assert "buffalo" not in found(visitor, "buffalo")
        assert "aardvark" in found(visitor, "aardvark")
        with orchestrator.Orchestrator(site.store) as writer:
            writer.save_event("capybara", event_id="00000000-0000-4000-8000-000000000003")
        wait_for(lambda: not is_lagging(site), "the index of the file that is there now")
        assert "capybara" in found(visitor, "capybara")
        assert "buffalo" not in found(visitor, "buffalo")
        assert f"{site.store} was replaced or moved" in server.log()


def found(visitor: Visitor, word: str) -> str:
    """Return the events that a search finds, as JSON."""
    answer = visitor.get(f"/api/v1/events/search?q={word}")
    assert answer.status == 200, answer
    return answer.text


def is_lagging(site: Site) -> bool:
    return bool(site.rows("SELECT 1 FROM dash_dirty LIMIT 1"))


@pytest.mark.parametrize("journal_mode", SHOWN_MODES)
def test_a_store_that_is_gone_is_said_to_be_gone_until_it_is_back(
    make_site: SiteMaker, journal_mode: str, quick_disk: Path
):
    site = make_site(journal_mode, quick_disk)
    away = site.store.with_name("away.db")
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        assert visitor.get(f"/agents/{AGENT}/").status == 200
        move(site.store, away)
        for path in ("/", f"/agents/{AGENT}/", "/events/?q=turn", "/readyz", "/api/v1/agents"):
            answer = visitor.get(path)
            assert (path, answer.status) == (path, 503), server.log()[-3000:]
            assert f"{site.store} does not exist" in answer.text
        refused = visitor.post(f"/agents/{AGENT}/snapshot/", description="into nothing")
        assert (refused.status, refused.is_honest) == (503, True)
        assert visitor.get("/healthz").status == 200
        assert not site.store.exists()
        orchestrator.create(site.store)
        assert "has not moved into yet" in visitor.get("/agents/").text
        move(site.store, site.store.with_name("another.db"))
        move(away, site.store)
        assert visitor.get(f"/agents/{AGENT}/").status == 200
        assert visitor.post(f"/agents/{AGENT}/snapshot/", description="back again").status == 302
    assert site.rows("SELECT count(*) FROM state_snapshots WHERE description = 'back again'") == [(1,)]


def move(file: Path, target: Path) -> None:
    """Rename a database with its log."""
    for suffix in ("", "-wal", "-shm"):
        if Path(f"{file}{suffix}").exists():
            os.replace(f"{file}{suffix}", f"{target}{suffix}")


def test_a_dashboard_database_that_is_gone_is_said_to_be_gone_until_it_is_back(make_site: SiteMaker, quick_disk: Path):
    site = make_site("wal", quick_disk)
    away = site.dashboard.with_name("away.db")
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        move(site.dashboard, away)
        for path in ("/agents/", "/login/", "/readyz"):
            answer = visitor.get(path)
            assert (path, answer.status) == (path, 503)
            assert f"{site.dashboard} does not exist" in answer.text
        assert not site.dashboard.exists()
        move(away, site.dashboard)
        assert visitor.get("/agents/").status == 200
