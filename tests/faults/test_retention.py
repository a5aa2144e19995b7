"""Retention beside saves and kills: nothing goes that the simulator did not name, and no save waits for it."""

import json
import random
import subprocess
import sys
import threading

import pytest

from tests.faults.scale import tell, times
from tests.faults.sites import LONG_AGO, QUIET, ROOT, Site, SiteMaker
from tests.foreign.harm import held_seconds, watched
from tests.foreign.orchestrator import Orchestrator

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

MAKE_POLICY = """
from statestore import retention
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
made = retention.create(store_alias(), "transitions", None, retention.Limits(keep_count=200), by=SYSTEM)
retention.switch(store_alias(), made.pk, on=True, by=SYSTEM)
"""
# What the simulator names: the ids, by the code that deletes.
NAME = """
import json
from statestore import models
from statestore.db.routers import store_alias
from statestore.models import RetentionPolicy
from statestore.retention.rows import going
policy = RetentionPolicy.objects.get()
print(json.dumps([row.pk for of in going(policy, store_alias(), now=models.now()) for row in of.rows]))
"""


def fill(site: Site, count: int) -> None:
    """Record transitions of the quiet agents, long ago."""
    with Orchestrator(site.store) as orchestrator:
        for number in range(count):
            before, after = (f'{{"step": {step}, "notes": "{"n" * 2000}"}}' for step in (number, number + 1))
            orchestrator.record_transition(QUIET[number % len(QUIET)], before, after, at=LONG_AGO + number)


def ids(site: Site) -> set[str]:
    return {row[0] for row in site.rows("SELECT id FROM state_transitions")}


def test_a_killed_deletion_deletes_nothing_that_was_not_named(make_site: SiteMaker):
    site = make_site("wal")
    fill(site, 2_400)
    site.manage("shell", "-v", "0", "-c", MAKE_POLICY)
    before = ids(site)
    named = set(json.loads(site.manage("shell", "-v", "0", "-c", NAME)))
    kills, in_the_middle = times(4, 200), 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.retention.victim"], cwd=ROOT, env=site.environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as process:  # fmt: skip
            # The first chunk goes; of the second, any moment is as good as another.
            for _ in range(2):
                said = process.stdout.readline() if process.stdout else ""
                if said == "chunk\n" and process.stdin is not None:
                    process.stdin.write("\n")
            threading.Event().wait(random.uniform(0, 0.05))
            process.kill()
        left = ids(site)
        in_the_middle += before - left < named
        assert before - left <= named, "something went that the simulator did not name"
    site.manage("housekeeping", "--once", "--confirm-clock")
    gone = before - ids(site)
    told = sum(
        json.loads(detail)["rows"] for (detail,) in site.rows("SELECT detail FROM dash_audit WHERE verb = 'expire'")
    )
    tell("killed retention", kills=kills, in_the_middle=in_the_middle, failures=0, canary=f"{len(named)} named")
    assert gone == named
    assert told == len(named), "each deletion has its audit entry, and no entry tells of one that was not done"
    assert in_the_middle


@pytest.mark.alone
def test_no_save_waits_while_house_is_kept(make_site: SiteMaker):
    site = make_site("wal")
    fill(site, times(2_000, 20_000))
    site.manage("shell", "-v", "0", "-c", MAKE_POLICY)
    held = held_seconds(site.store)
    environment = {"ARCHIVE_AFTER_HOURS": "1", "DELETE_EXPIRED": "1", "BACKUP_EVERY_HOURS": "1"}
    environment |= {"BACKUP_DIR": str(site.store.parent / "kept"), "VAR_DIR": str(site.store.parent)}
    with watched(site.store, "--per-second", "100") as run:
        kept = subprocess.run(
            [sys.executable, "manage.py", "housekeeping", "--once", "--confirm-clock"],
            cwd=ROOT, env={**site.environment, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    tell(
        "housekeeping beside saves",
        saves=len(run.saves),
        waits=run.waits,
        failures=0,
        canary="a bad guest in the same run",
    )
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert {"policies", "archive", "backup", "drill"} <= {
        line.split(" (")[0].split(":")[0] for line in kept.stdout.splitlines()
    }
    assert run.harm(held) == []
