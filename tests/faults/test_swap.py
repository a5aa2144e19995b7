"""A backup takes the live file's place: whole, alone, on the record, and without the loss of what was there."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from statestore import backups
from statestore.backups import swap
from statestore.backups.directory import Backup
from statestore.db.sqlite import open_files
from statestore.errors import Conflict, DatabaseError
from tests.faults.scale import tell, times
from tests.faults.sites import JOURNAL_MODES, QUIET, ROOT, Site, SiteMaker

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]


def backup_of(site: Site) -> Backup:
    """Return a backup of a site as it is."""
    return backups.at(Path(site.manage("backup", "--to", str(site.store.parent / "copies")).splitlines()[-1]))


def set_state(site: Site, state: str, agent_id: str = QUIET[0]) -> None:
    with closing(sqlite3.connect(site.store)) as connection, connection:
        connection.execute("UPDATE agent_states SET state_data = ? WHERE agent_id = ?", (state, agent_id))


def state_in(path: Path, agent_id: str = QUIET[0]) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (row,) = connection.execute("SELECT state_data FROM agent_states WHERE agent_id = ?", (agent_id,)).fetchall()
        return str(row[0])


def replace(site: Site, backup: Backup, *words: str) -> list[str]:
    """Replace a site's store by the command, and return what that printed."""
    return site.manage("restore-backup", str(backup.path), "--replace", "--stopped", "--yes", *words).splitlines()


@pytest.mark.parametrize("mode", JOURNAL_MODES)
def test_the_backup_is_in_place_and_the_file_that_was_there_is_kept(make_site: SiteMaker, mode: str):
    site = make_site(mode)
    backup, before = backup_of(site), site.state(QUIET[0])
    set_state(site, '{"saved": "since"}')
    site.store.chmod(0o640)
    said = replace(site, backup)
    kept = Path(said[-1])
    assert site.state(QUIET[0]) == before
    assert state_in(kept) == '{"saved": "since"}'
    assert site.store.stat().st_mode & 0o777 == 0o640, "The rights stay those of the file that was there."
    assert site.rows("PRAGMA journal_mode") == [(mode,)]
    assert sorted(site.store.parent.glob(".*.partial*")) == []


def test_it_is_on_record_and_the_chain_still_verifies(make_site: SiteMaker):
    site = make_site("wal")
    backup = backup_of(site)
    for _ in range(3):
        set_state(site, "{}", QUIET[1])
        site.manage("restore-backup", str(backup.path), "--agent", QUIET[1], "--yes")
    site.manage("verify")
    ((noted,),) = site.rows("SELECT max(id) FROM dash_audit")
    replace(site, backup)
    ((entry, action, noun, detail),) = site.rows(
        "SELECT id, verb, noun, detail FROM dash_audit ORDER BY id DESC LIMIT 1"
    )
    assert (action, noun) == ("replace", "store")
    assert backup.name in detail
    assert entry < noted, "The log ends before an entry that was noted."
    site.manage("verify")


def test_the_users_database_can_be_replaced_too(make_site: SiteMaker):
    site = make_site("wal")
    backup = backup_of(site)
    with closing(sqlite3.connect(site.dashboard)) as connection, connection:
        connection.execute("UPDATE auth_user SET username = 'mallory'")
    replace(site, backup, "--database", "dashboard")
    with closing(sqlite3.connect(site.dashboard)) as connection:
        assert connection.execute("SELECT username FROM auth_user").fetchall() == [("ada",)]
    assert site.rows("SELECT noun FROM dash_audit ORDER BY id DESC LIMIT 1") == [("dashboard",)]


@pytest.mark.parametrize("mode", JOURNAL_MODES)
def test_while_another_process_has_the_file_open_nothing_is_replaced(make_site: SiteMaker, mode: str):
    site = make_site(mode)
    backup = backup_of(site)
    held = site.store.stat().st_ino
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM events').fetchall();"
        " print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(site.store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(Conflict, match=rf"{other.pid}.*Nothing was done"):
            swap.swap(backup, site.store)
        other.communicate("\n")
    assert site.store.stat().st_ino == held
    assert list(site.store.parent.glob("*replaced*")) == []


def test_a_process_that_may_not_be_seen_is_found_by_its_lock(make_site: SiteMaker, monkeypatch: pytest.MonkeyPatch):
    site = make_site("wal")
    backup = backup_of(site)
    monkeypatch.setattr(open_files, "open_elsewhere", lambda _: [])
    with closing(sqlite3.connect(site.store)) as other:
        other.execute("SELECT count(*) FROM events").fetchall()
        with pytest.raises(Conflict, match=r"has .*store\.db open"):
            swap.swap(backup, site.store)
    assert site.rows("PRAGMA journal_mode") == [("wal",)]
    assert list(site.store.parent.glob("*replaced*")) == []


def test_a_damaged_store_is_replaced_and_kept_with_its_log(make_site: SiteMaker):
    site = make_site("wal")
    backup, before = backup_of(site), site.state(QUIET[0])
    damaged = b"no database any more" * 500
    site.store.write_bytes(damaged)
    log = site.store.with_name("store.db-wal")
    log.write_bytes(b"pages of the damaged one")
    kept = Path(replace(site, backup)[-1])
    assert site.state(QUIET[0]) == before
    assert kept.read_bytes() == damaged
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"pages of the damaged one"


def test_a_store_that_is_gone_is_put_back(make_site: SiteMaker):
    site = make_site("delete")
    backup, before = backup_of(site), site.state(QUIET[0])
    site.store.unlink()
    site.store.with_name("store.db-journal").write_bytes(b"left over")
    assert swap.swap(backup, site.store).kept is None
    assert site.state(QUIET[0]) == before


def test_a_damaged_backup_and_a_shared_store_are_refused(make_site: SiteMaker):
    site = make_site("wal")
    backup = backup_of(site)
    with pytest.raises(AssertionError, match="say --stopped"):
        site.manage("restore-backup", str(backup.path), "--replace", "--yes")
    (backup.path / backup.manifest.files[0].name).write_bytes(b"")
    held = site.store.read_bytes()
    with pytest.raises(DatabaseError, match=r"damaged.*Nothing was changed"):
        swap.swap(backup, site.store)
    assert site.store.read_bytes() == held


def test_a_killed_swap_leaves_the_old_file_or_the_new_one(make_site: SiteMaker):
    site = make_site("wal")
    for name in ("one", "other"):
        set_state(site, f'{{"it": "is {name}"}}')
        backup_of(site)
    paths = [str(backup.path) for backup in backups.newest_first(site.store.parent / "copies")]
    kills = times(8, 200)
    found: set[str] = set()
    in_the_middle, wrong = 0, []
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.backups.swapper", str(site.store), *paths],
            cwd=ROOT, env=site.environment, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            # Nothing is awaited: any moment of a swap is as good as another.
            threading.Event().wait(random.uniform(0, 0.2))
            process.kill()
        in_the_middle += len(left_over(site))
        wrong += faults_of(site.store)
        found.add(site.state(QUIET[0]))
        for path in left_over(site):
            path.unlink()
    canary = faults_of(half_of(site.store))
    tell("killed swaps", kills=kills, in_the_middle=in_the_middle, failures=len(wrong), canary=f"{len(canary)} flagged")
    assert wrong == []
    assert found <= {'{"it": "is one"}', '{"it": "is other"}'}
    assert in_the_middle, "no kill met a swap"
    assert canary


def left_over(site: Site) -> list[Path]:
    """Return what a killed swap left beside the store."""
    return [*site.store.parent.glob(".*.partial*"), *site.store.parent.glob("*.replaced-*")]


def faults_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        try:
            rows = connection.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [row[0] for row in rows if row[0] != "ok"]


def half_of(path: Path) -> Path:
    """Return a file that was copied by half, as over the live one without a copy beside it."""
    half = path.with_name("half.db")
    half.write_bytes(path.read_bytes())
    os.truncate(half, path.stat().st_size // 2)
    return half
