"""The archive beside saves and kills: no record is lost, none is there twice, and no save waits for it."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.faults.scale import tell, times
from tests.faults.sites import LONG_AGO, QUIET, ROOT, Site, SiteMaker
from tests.faults.test_full_disk import small_disk
from tests.foreign.harm import held_seconds, watched
from tests.foreign.orchestrator import Orchestrator

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

COUNTED = (
    "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM state_transitions UNION ALL SELECT id FROM"
    " dash_archived_transition)"
)


def fill(site: Site, count: int) -> None:
    """Record transitions of the quiet agents, long ago."""
    with Orchestrator(site.store) as orchestrator:
        for number in range(count):
            before, after = (f'{{"step": {step}, "notes": "{"n" * 2000}"}}' for step in (number, number + 1))
            orchestrator.record_transition(QUIET[number % len(QUIET)], before, after, at=LONG_AGO + number)


def exported(site: Site) -> str:
    lines = site.manage("export", "--table", "state_transitions", "--table", "state_snapshots").splitlines()
    return "\n".join(sorted(lines[1:-1]))


def test_a_killed_archiving_loses_nothing_and_doubles_nothing(make_site: SiteMaker):
    site = make_site("wal")
    fill(site, 120)
    before = exported(site)
    ((count, _),) = site.rows(COUNTED)
    kills = times(5, 200)
    wrong: list[str] = []
    in_the_middle = 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.archive.victim"], cwd=ROOT, env=site.environment, stdout=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            # Nothing is awaited: any moment is as good as another. The first time it waits for other processes.
            threading.Event().wait(random.uniform(0, 0.3) + (2.2 if in_the_middle == 0 else 0))
            process.kill()
        ((rows, distinct),) = site.rows(COUNTED)
        ((archived,),) = site.rows("SELECT count(*) FROM dash_archived_transition")
        in_the_middle += 0 < archived < count
        wrong += [] if rows == distinct == count else [f"{rows} rows, {distinct} ids of {count}"]
    site.manage("archive", "--undo", "--yes")
    wrong += [] if exported(site) == before else ["what came back differs"]
    caught = canary(site)
    tell(
        "killed archiving",
        kills=kills,
        in_the_middle=in_the_middle,
        failures=len(wrong),
        canary=f"{len(caught)} flagged",
    )
    assert wrong == []
    assert in_the_middle
    assert caught


def canary(site: Site) -> list[str]:
    """Return what is wrong after a row was copied into the archive and not deleted."""
    ((count, _),) = site.rows(COUNTED)
    with Orchestrator(site.store) as orchestrator:
        orchestrator.connection.execute(
            "INSERT INTO dash_archived_transition SELECT id, agent_id, '', '', reason, timestamp, metadata, rowid"
            " FROM state_transitions LIMIT 1"
        )
        orchestrator.connection.commit()
    ((rows, distinct),) = site.rows(COUNTED)
    return [] if rows == distinct == count else [f"{rows} rows, {distinct} ids of {count}"]


@pytest.mark.alone
def test_no_save_waits_while_records_are_archived_and_put_back(make_site: SiteMaker):
    site = make_site("wal")
    fill(site, times(400, 5_000))
    held = held_seconds(site.store)
    with watched(site.store, "--per-second", "100") as run:
        told = site.manage("archive", "--before", "1h", "--yes")
        site.manage("archive", "--undo", "--yes")
    tell(
        "archiving beside saves",
        saves=len(run.saves),
        waits=run.waits,
        failures=0,
        canary="a bad guest in the same run",
    )
    assert "times smaller" in told
    assert run.harm(held) == []


def test_a_full_disk_stops_archiving_with_nothing_lost(make_site: SiteMaker, tmp_path: Path):
    with small_disk("mounted", tmp_path / "disk", megabytes=6) as disk:
        if not disk.directory.is_mount():
            pytest.skip("No disk can be mounted here.")
        site = make_site("wal", disk.directory)
        fill(site, 200)
        before = exported(site)
        free = os.statvfs(disk.directory)
        (disk.directory / "ballast").write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 65_536))
        refused = subprocess.run(
            [sys.executable, "manage.py", "archive", "--before", "1h", "--yes"],
            cwd=ROOT, env=site.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        (disk.directory / "ballast").unlink()
        after = exported(site)
        told = site.manage("archive", "--before", "1h", "--yes")
        later = exported(site)
    tell("archiving on a full disk", failures=0, canary="none")
    assert refused.returncode == 1
    assert "full" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert after == before
    assert "were archived" in told
    assert later == before
