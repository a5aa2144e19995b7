"""What lists, doctor and metrics say of backups, archive and the chain of the audit log; they only read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client, override_settings

from statestore import archive, models
from statestore.access import audit
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import DatabaseError
from statestore.models import HousekeepingRun
from statestore.models.audit import Action
from statestore.operations import doctor, housekeeping, upkeep
from tests.builders import NOW, make_agent, make_backup, make_transition

pytestmark = pytest.mark.django_db

HOUR = 3600


@pytest.fixture(autouse=True)
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where this test's backups are; one is due each day."""
    with override_settings(BACKUP_DIR=tmp_path / "backups", BACKUP_EVERY_HOURS=24):
        yield tmp_path / "backups"


def run(work: str, **columns: Any) -> HousekeepingRun:
    return HousekeepingRun.objects.create(work=work, **{"started_at": NOW, "ended_at": NOW, **columns})


def levels() -> dict[str, doctor.Level]:
    return {finding.title: finding.level for finding in doctor.examine(thorough=False)}


def of_age(seconds: int) -> None:
    """Let the store be made so long before now."""
    with connections[store_alias()].cursor() as cursor:
        made = models.now() - seconds
        text = "strftime('%%Y-%%m-%%d %%H:%%M:%%S', %s, 'unixepoch')"
        sql = text if connections[store_alias()].vendor == "sqlite" else "to_timestamp(%s)"
        cursor.execute(f"UPDATE django_migrations SET applied = {sql}", [made])


@pytest.mark.one_store
def test_backups_are_listed_newest_first_with_what_was_found(directory: Path):
    make_backup(directory, NOW - HOUR)
    make_backup(directory, NOW, problems=["store.db is damaged."])
    make_backup(directory, NOW - 2 * HOUR, problems=None)
    found = upkeep.list_backups()
    assert [backup.made_at for backup in found] == [NOW, NOW - HOUR, NOW - 2 * HOUR]
    assert [backup.is_good for backup in found] == [False, True, False]
    assert found[0].bytes > 4096
    assert found[0].manifest is not None
    assert [file.database for file in found[0].manifest.files] == ["store"]
    assert len(upkeep.list_backups(2)) == 2


@pytest.mark.one_store
def test_a_damaged_manifest_is_told_and_is_not_good(directory: Path):
    backup = make_backup(directory)
    (backup.path / "manifest.json").write_text("{}")
    (found,) = upkeep.list_backups()
    assert "is damaged" in found.fault
    assert not found.is_good


@pytest.mark.one_store
@pytest.mark.parametrize(
    ("ages", "problem"),
    [
        ((), "There is no verified backup"),
        ((24 * HOUR,), ""),
        ((48 * HOUR,), ""),
        ((49 * HOUR,), "The newest verified backup is 2 days old, but one is due every 24 hours."),
    ],
)
def test_backups_are_too_old_after_twice_the_time_in_which_one_is_due(
    directory: Path, ages: tuple[int, ...], problem: str
):
    for age in ages:
        make_backup(directory, NOW - age)
    found = upkeep.backup_problem(now=NOW)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


@pytest.mark.one_store
def test_a_bad_backup_is_not_the_newest_good_one(directory: Path):
    make_backup(directory, NOW, problems=["store.db is damaged."])
    make_backup(directory, NOW - 49 * HOUR)
    assert "2 days old" in upkeep.backup_problem(now=NOW)


@pytest.mark.one_store
def test_no_age_is_too_old_where_no_backups_are_due(directory: Path):
    make_backup(directory, NOW - 10_000 * HOUR)
    with override_settings(BACKUP_EVERY_HOURS=0):
        assert upkeep.backup_problem(now=NOW) == ""


def test_a_directory_that_cannot_be_read_is_a_problem_and_hides_no_metrics(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path) -> list[Any]:
        raise DatabaseError(f"{path} cannot be read.")

    monkeypatch.setattr(upkeep.backups, "newest_first", refuse)
    assert "cannot be read" in upkeep.backup_problem(now=NOW)
    assert "\nstatestore_archived_records 0.0\n" in client.get("/metrics").content.decode()


@pytest.mark.one_store
def test_the_doctor_warns_of_an_old_store_without_a_backup(directory: Path):
    of_age(25 * HOUR)
    (title,) = [title for title in levels() if "backup in" in title]
    assert levels()[title] == "warn"
    make_backup(directory, models.now())
    assert levels()["There is a backup that is new enough"] == "ok"


def test_the_doctor_gives_a_new_store_time_for_its_first_backup():
    of_age(HOUR)
    assert not [title for title in levels() if "verified backup" in title]


def test_the_doctor_says_nothing_of_backups_that_are_not_due():
    of_age(1_000 * HOUR)
    with override_settings(BACKUP_EVERY_HOURS=0):
        assert not [title for title in levels() if "backup in" in title]


def test_the_doctor_fails_on_faults_of_the_last_verification_until_one_is_good():
    run(housekeeping.CHAIN.name, problem="Audit entry 7 was changed.")
    assert levels()["The audit log, or a restore, was changed"] == "error"
    run(housekeeping.CHAIN.name, rows=8)
    assert "The audit log, or a restore, was changed" not in levels()


def test_a_verification_that_a_person_asks_for_is_noted():
    audit.record(Action.STATUS, make_agent(), by=SYSTEM, using=store_alias())
    found = housekeeping.verify_now(store_alias())
    assert found.is_good
    last = upkeep.last_verification(store_alias())
    assert last is not None
    assert (last.rows, last.problem) == (found.entries, "")


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_archive_tells_its_size():
    assert upkeep.archive_size(store_alias()) == upkeep.ArchiveSize(0, 0, 0)
    assert upkeep.archive_size(store_alias()).ratio == 0
    agent = make_agent("a1")
    for number in range(20):
        make_transition(
            agent, {"n": number, "said": "hello " * 100}, {"n": number + 1, "said": "hello " * 100},
            timestamp=NOW - 100 + number,
        )  # fmt: skip
    ((_, moved),) = archive.archive_before(store_alias(), NOW, by=SYSTEM)
    size = upkeep.archive_size(store_alias())
    assert (size.records, size.frame_bytes) == (moved.records, moved.packed_bytes)
    assert size.records > 10
    assert size.ratio > 5


@pytest.mark.one_store
def test_metrics_tell_of_backups_housekeeping_and_archive(client: Client, directory: Path):
    run("backup", ended_at=NOW)
    run("backup", ended_at=NOW + 60, problem="The disk is full.")
    run("clock", ended_at=NOW + 90)
    text = client.get("/metrics").content.decode()
    assert "\nstatestore_backup_age_seconds" not in text, "there is none"
    success = "statestore_housekeeping_last_success_seconds"
    (line,) = [line for line in text.splitlines() if line.startswith(f'{success}{{work="backup"}}')]
    assert float(line.split()[1]) == NOW, "the last time that nothing was wrong"
    assert 'work="clock"' not in text
    assert "\nstatestore_archived_records 0.0\n" in text
    make_backup(directory, models.now() - 100)
    (age,) = [
        float(line.split()[1])
        for line in client.get("/metrics").content.decode().splitlines()
        if line.startswith("statestore_backup_age_seconds")
    ]
    assert 100 <= age < 1_000
