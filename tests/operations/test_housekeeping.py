"""Housekeeping does what is due, tells what it did, and deletes nothing while the clock is in doubt."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from statestore import backups, models, retention
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, DatabaseError
from statestore.models import HousekeepingRun
from statestore.operations import housekeeping
from statestore.retention import Limits
from tests.builders import NOW, make_agent, make_snapshot

pytestmark = pytest.mark.django_db

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path) -> Iterator[None]:
    with override_settings(
        VAR_DIR=tmp_path, BACKUP_DIR=tmp_path / "backups", BACKUP_EVERY_HOURS=0, DELETE_EXPIRED=True
    ):
        yield


def expired_snapshot() -> models.Snapshot:
    snapshot = make_snapshot(make_agent(updated_at=NOW), expires_at=NOW - 10)
    models.SnapshotExpiry.objects.create(snapshot_id=snapshot.pk, expires_at=NOW - 10)
    return snapshot


def run_at(now: int = NOW) -> list[HousekeepingRun]:
    with time_machine.travel(now, tick=False):
        return housekeeping.run_once(store_alias())


def test_expired_snapshots_go_by_themselves():
    expired_snapshot()
    (run,) = [run for run in run_at() if run.work == "expired snapshots"]
    assert (run.rows, run.problem) == (1, "")
    assert not models.Snapshot.objects.exists()


def test_in_an_orchestrators_store_they_stay_unless_that_is_wanted():
    expired_snapshot()
    with override_settings(DELETE_EXPIRED=False):
        run_at()
    assert models.Snapshot.objects.exists()


def test_policies_that_are_on_are_carried_out_and_noted():
    agent = make_agent(updated_at=NOW)
    for age in range(4):
        make_snapshot(agent, created_at=NOW - age)
    made = retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=SYSTEM)
    assert [run.work for run in run_at() if run.work == "policies"] == []
    retention.switch(store_alias(), made.pk, on=True, by=SYSTEM)
    (run,) = [run for run in run_at() if run.work == "policies"]
    assert (run.rows, run.about) == (3, "snapshots of all namespaces")


@pytest.mark.parametrize("jump", [400 * DAY, -2 * DAY])
def test_nothing_goes_after_the_clock_jumped_until_it_is_confirmed(jump: int):
    run_at()
    snapshot = expired_snapshot()
    models.SnapshotExpiry.objects.update(expires_at=NOW - 10 * DAY)
    models.Snapshot.objects.update(expires_at=NOW - 10 * DAY)
    for _ in range(2):  # What was noted the first time does not make the clock right.
        problems = [run.problem for run in run_at(NOW + jump) if run.problem]
        assert models.Snapshot.objects.filter(pk=snapshot.pk).exists()
    with time_machine.travel(NOW + jump, tick=False):
        assert "Nothing is deleted until you confirm" in retention.clock_doubt(store_alias(), now=NOW + jump)
        retention.confirm_clock(store_alias(), by="ada", now=NOW + jump)
    run_at(NOW + jump)
    assert not models.Snapshot.objects.exists()
    assert len(problems) <= 1, "said once an hour"


def test_a_machine_whose_clock_is_wrong_from_the_start_deletes_nothing():
    expired_snapshot()
    run_at(NOW + 400 * DAY)
    assert models.Snapshot.objects.exists()


def test_a_failure_is_noted_and_the_next_work_is_done(monkeypatch: pytest.MonkeyPatch):
    def fails(using: str, go_on: housekeeping.GoesOn) -> Iterator[housekeeping.Outcome]:
        if go_on():
            raise DatabaseError("The disk is full.")
        yield housekeeping.Outcome()

    monkeypatch.setattr(housekeeping, "WORKS", (housekeeping.Work("broken", 60, fails), *housekeeping.WORKS))
    expired_snapshot()
    runs = {run.work: run for run in run_at()}
    assert runs["broken"].problem == "The disk is full."
    assert runs["expired snapshots"].rows == 1


def test_two_processes_do_not_keep_house_at_once():
    with housekeeping._lease(store_alias()) as is_first:
        assert is_first
        with pytest.raises(Conflict, match="Another process keeps house"):
            housekeeping.run_once(store_alias())


@pytest.mark.one_store
@pytest.mark.django_db(transaction=True)
def test_a_backup_is_taken_when_the_newest_is_too_old(tmp_path: Path):
    make_agent()
    with override_settings(BACKUP_EVERY_HOURS=24):
        first = housekeeping.run_once(store_alias())
        second = housekeeping.run_once(store_alias())
    assert [run.work for run in first if run.problem] == []
    assert {"backup", "drill"} <= {run.work for run in first}
    assert {"backup", "drill"} & {run.work for run in second} == set()
    (backup,) = backups.newest_first(tmp_path / "backups")
    assert backup.drilled is not None


def command(**options: Any) -> str:
    out = StringIO()
    call_command("housekeeping", stdout=out, **options)
    return out.getvalue()


def test_the_dry_run_names_what_each_policy_would_delete():
    agent = make_agent("planner")
    for age in range(4):
        make_snapshot(agent, created_at=NOW - age)
    retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=SYSTEM)
    told = command(once=True, dry_run=True)
    assert "snapshots of all namespaces (off): 3 rows" in told
    assert "planner: 3 rows" in told
    assert models.Snapshot.objects.count() == 4


def test_the_command_tells_what_it_did_and_fails_when_not_all_could_be_done():
    expired_snapshot()
    with time_machine.travel(NOW, tick=False):
        assert "expired snapshots: 1 rows" in command(once=True)
    expired_snapshot()
    with time_machine.travel(NOW + 400 * DAY, tick=False):
        with pytest.raises(CommandError, match="Not all could be done"):
            command(once=True)
        assert "expired snapshots: 1 rows" in command(once=True, confirm_clock=True)
