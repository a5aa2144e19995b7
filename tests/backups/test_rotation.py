"""Rotation keeps the last day, and one backup for each of the last days, weeks and months."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from statestore import backups
from statestore.backups import Rotation

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def make(directory: Path, times: Iterable[datetime], problems: tuple[str, ...] = ()) -> None:
    for at in times:
        path = directory / at.strftime("%Y%m%d-%H%M%S")
        path.mkdir()
        (path / "manifest.json").write_text("{}")
        (path / "verified.json").write_text(json.dumps({"at": "then", "problems": problems}))


def kept(directory: Path, rotation: Rotation) -> list[str]:
    every = backups.newest_first(directory)
    with time_machine.travel(NOW):
        gone = {backup.name for backup in backups.superfluous(every, rotation)}
    return [backup.name for backup in every if backup.name not in gone]


def test_seven_days_four_weeks_and_twelve_months_are_kept(tmp_path: Path):
    make(tmp_path, (NOW - timedelta(days=days) for days in range(500)))
    names = kept(tmp_path, Rotation(7, 4, 12))
    days = [datetime.strptime(name[:8], "%Y%m%d").date() for name in names]  # noqa: DTZ007
    assert days[:7] == [(NOW - timedelta(days=number)).date() for number in range(7)]
    assert len({day.isocalendar()[:2] for day in days}) >= 4
    assert [(day.year, day.month) for day in days if day.day >= 28 or day == NOW.date()][:2]
    assert len({(day.year, day.month) for day in days}) == 12
    assert len(names) <= 7 + 4 + 12


def test_all_of_the_last_day_are_kept(tmp_path: Path):
    make(tmp_path, (NOW - timedelta(hours=hours) for hours in range(30)))
    assert len(kept(tmp_path, Rotation(1, 0, 0))) == 24


def test_the_newest_is_kept_however_old_it_is(tmp_path: Path):
    make(tmp_path, [NOW - timedelta(days=900), NOW - timedelta(days=901)])
    assert kept(tmp_path, Rotation(0, 0, 0)) == [(NOW - timedelta(days=900)).strftime("%Y%m%d-%H%M%S")]


def test_a_damaged_backup_takes_no_others_place(tmp_path: Path):
    day = NOW - timedelta(days=3)
    make(tmp_path, [day], problems=("store.db is damaged.",))
    make(tmp_path, [day - timedelta(hours=1), day - timedelta(days=1)])
    assert len(kept(tmp_path, Rotation(1, 0, 0))) == 2, "the good one of that day, and the damaged one for people"


def test_a_removed_backup_is_gone(tmp_path: Path):
    make(tmp_path, [NOW])
    backups.remove(backups.newest_first(tmp_path)[0])
    assert list(tmp_path.iterdir()) == []
