"""Backups beside saves, kills and full disks: what is listed is whole, and no save waits for it."""

import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from statestore import backups
from tests.faults.scale import tell, times
from tests.faults.sites import ROOT, Site, SiteMaker
from tests.faults.test_full_disk import small_disk
from tests.foreign.harm import held_seconds, watched

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]


def damaged(directory: Path) -> list[str]:
    """Return what is wrong with the backups that are listed."""
    return [fault for backup in backups.newest_first(directory) for fault in backups.verify(backup)]


def kill_one(site: Site, directory: Path) -> None:
    """Let a process take backups, and kill it within the time that one or two take."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.backups.victim", str(directory)],
        cwd=ROOT, env=site.environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # Nothing is awaited: any moment of a backup is as good as another.
        threading.Event().wait(random.uniform(0, 0.3))
        process.kill()


def test_a_killed_process_leaves_no_backup_that_is_not_whole(make_site: SiteMaker, tmp_path: Path):
    site, directory = make_site("wal"), tmp_path / "backups"
    kills = times(5, 200)
    wrong: list[str] = []
    in_the_middle = 0
    for _ in range(kills):
        kill_one(site, directory)
        in_the_middle += len(list(directory.glob(".*.partial")))
        wrong += damaged(directory)
    site.manage("backup", "--to", str(directory))
    left = list(directory.glob(".*.partial"))
    canary = unfinished_canary(directory)
    tell(
        "killed backups", kills=kills, in_the_middle=in_the_middle, failures=len(wrong), canary=f"{len(canary)} flagged"
    )
    assert wrong == []
    assert in_the_middle, "no kill met a backup"
    assert left == [], "the next backup removes what the killed one left"
    assert canary


def unfinished_canary(directory: Path) -> list[str]:
    """Return what is wrong with a backup that was given its name before it was whole."""
    newest = backups.newest_first(directory)[0]
    early = directory / "20200101-000000"
    early.mkdir()
    (early / "manifest.json").write_bytes((newest.path / "manifest.json").read_bytes())
    return damaged(directory)


def test_a_full_disk_leaves_no_backup_and_the_next_one_works(make_site: SiteMaker, tmp_path: Path):
    site = make_site("wal")
    with small_disk("mounted", tmp_path / "disk") as disk:
        if not disk.directory.is_mount():
            pytest.skip("No disk can be mounted here.")
        directory = disk.directory / "backups"
        refused = subprocess.run(
            [sys.executable, "manage.py", "backup", "--to", str(directory)],
            cwd=ROOT, env=site.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        listed, left = backups.newest_first(directory), list(directory.glob(".*.partial"))
    tell("full disk of backups", failures=len(listed) + len(left), canary="none")
    assert refused.returncode == 1
    assert "Nothing was changed" in refused.stderr
    assert listed == []
    assert left == []


@pytest.mark.alone
def test_backups_and_drills_beside_saves_are_equal_and_no_save_waits(make_site: SiteMaker, tmp_path: Path):
    cycles = times(3, 20)
    site, directory = make_site("wal"), tmp_path / "backups"
    held = held_seconds(site.store)
    wrong: list[str] = []
    with watched(site.store, "--per-second", "100") as run:
        for _ in range(cycles):
            site.manage("backup", "--to", str(directory), "--keep-all")
            with suppress(IndexError):
                wrong += backups.drill(backups.newest_first(directory)[0])
    tell(
        "backups beside saves", cycles=cycles, saves=len(run.saves), waits=run.waits, failures=len(wrong),
        canary="a bad guest in the same run",
    )  # fmt: skip
    assert len(backups.newest_first(directory)) == cycles
    assert wrong == []
    assert run.harm(held) == []
