"""`manage.py doctor`: each ailment is found, a healthy store is called healthy, and nobody waits for the doctor."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from statestore import models
from statestore.adoption.adopt import adopt
from statestore.adoption.temporary_store import store_at
from statestore.db import vendor
from statestore.db.orchestrator_schema import UNREAD_INDEXES
from statestore.operations import doctor
from tests.foreign import hostile, orchestrator, writer
from tests.foreign.harm import held_seconds, watched
from tests.stores import execute, make_store
from tests.templates import Templates

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Which SQLite this machine has is no matter of these tests.
    monkeypatch.setattr(vendor, "sqlite_checkpoints_safely", lambda: True)
    with django_db_blocker.unblock():
        yield


def make_healthy_store(directory: Path) -> None:
    path = make_store(directory / "store.db")
    adopt(path, backup_dir=directory / "backups", wal=True)


@pytest.fixture
def path(quick_disk: Path, templates: Templates) -> Path:
    """A healthy store: populated, adopted, in WAL."""
    return Path(shutil.copy(templates.get("healthy", make_healthy_store) / "store.db", quick_disk))


def seconds_of(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def complaints(path: Path, *, thorough: bool = True) -> dict[str, doctor.Level]:
    with store_at(path) as using:
        return {f.title: f.level for f in doctor.examine(using, thorough=thorough) if f.level != "ok"}


def test_a_healthy_store_has_no_complaints(path: Path) -> None:
    with store_at(path) as using:
        findings = doctor.examine(using, thorough=True)
        assert doctor.troubles(using) == []
    assert {finding.level for finding in findings} == {"ok"}
    assert len(findings) > 6


# what was done to the store: (statements, level, title)
AILMENTS: dict[str, tuple[tuple[str, ...], doctor.Level, str]] = {
    "rollback journal": (("PRAGMA journal_mode = delete",), "warn", "The journal mode is delete"),
    "interrupted migration": (
        ("DELETE FROM migrations WHERE version = 5",), "error", "5 (enhance_task_model) is not noted as applied"
    ),
    "newer orchestrator": (
        ("INSERT INTO migrations (version, name, applied_at) VALUES (6, 'next', 1)",), "warn", "moved on: migration 6"
    ),
    "missing index": (("DROP INDEX idx_events_actor_id",), "warn", "idx_events_actor_id is missing"),
    "foreign trigger": (
        ("CREATE TRIGGER spy AFTER INSERT ON events BEGIN SELECT 1; END",), "warn", "Another program's triggers"
    ),
    "key without its id": (
        ("UPDATE agent_states SET key = 'alpha:someone' WHERE agent_id = 'coder'",), "warn", "1 agents have a key"
    ),
    "id like a key": (
        (
            "INSERT INTO agent_states (key, agent_id, name, state_data, created_at, updated_at)"
            " VALUES ('a:b', 'a:b', 'b', '{}', 1, 1)",
        ),
        "warn", "1 agent ids look like another namespace's keys",
    ),
    "text for a time": (
        ("UPDATE state_transitions SET timestamp = 'soon' WHERE agent_id = 'coder'",),
        "warn", "12 rows of state_transitions hold something else than a number in timestamp",
    ),
    "blob for a time": (
        ("UPDATE sessions SET ended_at = x'00' WHERE agent_id = 'coder'",), "warn", "1 rows of sessions"
    ),
    "orphans": (
        ("DELETE FROM agent_states WHERE agent_id = 'coder'",),
        "warn", "12 transitions and 3 snapshots belong to no agent",
    ),
    "dangling edges": (
        ("DELETE FROM tasks WHERE id = 'task-0'",), "warn", "1 dependency edges and 1 tasks name a task"
    ),
}  # fmt: skip


@pytest.mark.parametrize("ailment", AILMENTS)
def test_each_ailment_is_found_and_nothing_else(ailment: str, path: Path) -> None:
    statements, level, title = AILMENTS[ailment]
    execute(path, *statements)
    (found,) = complaints(path).items()
    assert title in found[0]
    assert found[1] == level


def test_indexes_that_nothing_reads_are_missed_in_an_orchestrator_s_file_alone(path: Path, settings: Any) -> None:
    execute(path, *(f"DROP INDEX {name}" for name in UNREAD_INDEXES))
    settings.STORE_IS_EMBEDDED = False
    missed = {f"The index {name} is missing" for name in UNREAD_INDEXES}
    assert missed <= set(complaints(path))
    settings.STORE_IS_EMBEDDED = True
    assert complaints(path) == {}


def test_every_complaint_says_what_it_means_and_what_to_do(path: Path) -> None:
    for statements, _, _ in AILMENTS.values():
        execute(path, *statements)
    with store_at(path) as using:
        found = [finding for finding in doctor.examine(using, thorough=True) if finding.level != "ok"]
    assert len(found) >= 9
    assert all(finding.meaning and finding.remedy for finding in found)


def test_ids_that_an_orchestrator_cannot_read_are_counted(path: Path, settings: Any) -> None:
    good = "0b0e6c5e-7a51-4d5e-8f57-1d6a2f3b4c5d"
    execute(path, f"UPDATE tasks SET id = '{good}' WHERE id = 'task-4'")
    execute(path, "UPDATE events SET id = upper(id) WHERE rowid = (SELECT min(rowid) FROM events)")
    with store_at(path) as using:
        tasks = models.Task.objects.using(using).exclude(pk=good).count()
        settings.STORE_IS_EMBEDDED = False
        (found,) = doctor.check_ids(connections[using])
        settings.STORE_IS_EMBEDDED = True
        (own,) = doctor.check_ids(connections[using])
    assert found.title.startswith(f"{tasks} tasks and 1 events have an id that is not a UUID in lower case")
    assert (found.level, own.level) == ("warn", "ok")


def test_an_old_sqlite_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "sqlite_checkpoints_safely", lambda: False)
    assert any("can corrupt a WAL file" in title for title in complaints(path, thorough=False))


@pytest.mark.parametrize(("free", "level"), [(10, "error"), (100, "warn"), (10_000, None)])
def test_the_disk_must_have_room(free: int, level: str | None, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=free * doctor.MEGABYTE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with path.open("r+b") as file:
        file.truncate(100 * doctor.MEGABYTE)  # a sparse tail; only its size is looked at
    with store_at(path) as using:
        found = [f.level for f in doctor.check_disk(connections[using]) if f.level != "ok"]
    assert found == ([level] if level else [])


def test_a_damaged_file_is_found(path: Path) -> None:
    execute(path, "PRAGMA journal_mode = delete")
    connection = sqlite3.connect(path)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'idx_events_actor_id'").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 4096 - 600)
        file.write(b"\x7f" * 600)
    execute(path, "PRAGMA journal_mode = wal")
    assert complaints(path)["The file is damaged"] == "error"


def test_a_store_that_is_not_adopted_is_the_only_finding(tmp_path: Path) -> None:
    path = orchestrator.create(tmp_path / "store.db")
    assert complaints(path) == {"The store is not usable": "error"}


def test_hostile_content_neither_stops_the_doctor_nor_reaches_the_terminal(tmp_path: Path) -> None:
    path = orchestrator.create(tmp_path / "store.db")
    hostile.fill(path)
    adopt(path, backup_dir=tmp_path / "backups")
    with store_at(path) as using:
        found = doctor.examine(using, thorough=True)
    text = "".join(finding.title + finding.meaning + finding.remedy for finding in found)
    assert "hold something else than a number" in text
    assert "\x1b" not in text
    assert "<script" not in text


@pytest.mark.alone
def test_the_cheap_checks_are_cheap_on_many_rows(path: Path) -> None:
    execute(
        path,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000)"
        " INSERT INTO state_transitions (id, agent_id, state_before, state_after, timestamp)"
        " SELECT 'bulk-' || x, 'coder', '{}', '{}', x FROM n",
    )
    with store_at(path) as using:
        cheap = min(seconds_of(lambda: doctor.examine(using, thorough=False)) for _ in range(5))
        thorough = seconds_of(lambda: doctor.examine(using, thorough=True))
    assert cheap < thorough / 5


@pytest.mark.alone
def test_a_thorough_examination_never_makes_the_orchestrator_wait(path: Path) -> None:
    execute(path, "PRAGMA journal_mode = delete")
    with watched(path, "--per-second", "100") as run:
        complaints(path)
        run.writers[0].await_saves()
    assert run.harm(held_seconds(path)) == []


def test_the_command_fails_on_errors_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    with store_at(path):
        call_command("doctor", stdout=out)
        execute(path, "DROP INDEX idx_events_actor_id")
        call_command("doctor", stdout=out)
        execute(path, "DELETE FROM migrations WHERE version = 5")
        with pytest.raises(SystemExit, match="1"):
            call_command("doctor", quick=True, stdout=out)
    assert "CREATE INDEX IF NOT EXISTS idx_events_actor_id" in out.getvalue()


def test_a_program_that_saves_into_a_file_that_was_replaced_is_named(path: Path) -> None:
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    with writer.running(path, "--per-second", "20") as run:
        assert not any("still in use" in title for title in complaints(path))
        copy.replace(path)
        (title,) = [title for title in complaints(path) if "still in use" in title]
        assert f"(process {run.process.pid})" in title
    assert not any("still in use" in title for title in complaints(path))
