"""`manage.py leave`: all that is ours goes, what was found stays, and the proof is sqlite_master itself."""

import sqlite3
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.plugin import DjangoDbBlocker

from statestore import archive, models
from statestore.access import audit
from statestore.adoption import leave as leaving
from statestore.adoption.adopt import adopt
from statestore.adoption.leave import Left, leave
from statestore.adoption.probe import look
from statestore.adoption.status import store_status
from statestore.adoption.temporary_store import store_at
from statestore.agents import capture
from statestore.db import archive as archive_of_states
from statestore.errors import Conflict, MigrationError
from tests.foreign import orchestrator
from tests.foreign.harm import held_seconds, watched
from tests.stores import LAYOUTS, execute, make_store

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def move_in(path: Path, *, wal: bool = False) -> None:
    adopt(path, backup_dir=path.parent / "backups", wal=wal)


def move_out(path: Path, **options: Any) -> Left:
    with store_at(path) as using:
        return leave(using, **options)


def leave_by_command(path: Path, **options: Any) -> str:
    out = StringIO()
    directory = path.parent / "backups"
    call_command("leave", path=str(path), backup_dir=directory, stdout=out, **{"yes": True, **options})
    return out.getvalue()


def dump(path: Path) -> dict[str, list[Any]]:
    """Return every row of every table, with its rowid."""
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {table: connection.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall() for table in tables}
    connection.close()
    return rows


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_leaving_puts_schema_rows_and_journal_mode_back_exactly(layout: str, wal: bool, tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db", layout)
    schema, rows = orchestrator.schema_objects(path), dump(path)
    move_in(path, wal=wal)
    assert orchestrator.schema_objects(path) != schema
    left = move_out(path)
    assert left.identical is True
    assert left.notes == []
    assert orchestrator.schema_objects(path) == schema
    assert dump(path) == rows
    found = look(path)
    assert (found.layout, found.adopted, found.journal_mode, found.refusal) == (layout, False, "delete", "")


def test_leaving_keeps_a_definition_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_store(path, "version 4")
    execute(
        path,
        "DROP TABLE tasks",
        "create table  tasks (id TEXT PRIMARY KEY NOT NULL, -- why, oh why\n title TEXT NOT NULL,"
        ' "description" TEXT, status TEXT NOT NULL, assigned_to TEXT, created_at INTEGER NOT NULL,'
        " updated_at INTEGER NOT NULL, metadata TEXT,"
        " created_timestamp INTEGER NOT NULL DEFAULT CURRENT_TIMESTAMP /* end */ )",
        "CREATE INDEX somebodys_own ON tasks(title) WHERE status = 'Todo'",
        "CREATE VIEW somebodys_view AS SELECT title FROM tasks",
    )
    schema = orchestrator.schema_objects(path)
    move_in(path)
    assert move_out(path).identical is True
    assert orchestrator.schema_objects(path) == schema


def test_moving_in_and_out_twice_is_the_same_as_once(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db", "version 4")
    schema = orchestrator.schema_objects(path)
    for _ in range(2):
        move_in(path)
        assert move_out(path).identical is True
    assert orchestrator.schema_objects(path) == schema


def test_switching_back_from_wal_is_not_taken_for_a_replaced_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path, wal=True)
    move_out(path)
    assert look(path).journal_mode == "delete"
    assert caplog.messages == []


def test_a_store_in_wal_before_adoption_stays_in_wal(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    execute(path, "PRAGMA journal_mode = wal")
    move_in(path, wal=True)
    move_out(path)
    assert look(path).journal_mode == "wal"


def test_what_another_program_added_meanwhile_stays_and_is_named(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path)
    execute(path, "CREATE TABLE songs (title)", "CREATE INDEX tasks_by_title ON tasks(title)")
    left = move_out(path)
    assert (left.identical, left.others) == (False, ["songs", "tasks_by_title"])
    move_in(path)
    execute(path, "CREATE TABLE more_songs (title)")
    assert "There since then: more_songs." in leave_by_command(path)


def test_what_was_saved_while_adopted_stays(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path)
    with orchestrator.Orchestrator(path) as daemon:
        daemon.save_agent("late", '{"late": true}')
    move_out(path)
    with orchestrator.Orchestrator(path) as daemon:
        assert daemon.load_agent("late") is not None


def test_leaving_says_what_would_be_lost_and_keeps_it_without_consent(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db", "version 4")
    move_in(path)
    with orchestrator.Orchestrator(path) as daemon:
        daemon.save_task("urgent", priority="critical", dependencies=["task-0"])
    adopted = orchestrator.schema_objects(path)
    with pytest.raises(Conflict, match=r"task_dependencies with 1 rows.*tasks\.priority, in which 1 rows"):
        move_out(path)
    assert orchestrator.schema_objects(path) == adopted
    assert "tasks.dependencies" in leave_by_command(path)
    assert look(path).layout == "version 4"


def test_the_command_backs_up_and_reports_the_proof(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path)
    said = leave_by_command(path)
    assert "dash_audit" in said
    assert "The schema is identical to the one found." in said
    assert len(list((tmp_path / "backups").glob("*.db"))) == 2


def test_without_yes_nobody_to_ask_means_no(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path)
    with pytest.raises(CommandError, match="--yes"):
        leave_by_command(path, yes=False)
    assert look(path).adopted


def test_there_is_nothing_to_leave_where_nobody_moved_in(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    before = path.read_bytes()
    with pytest.raises(CommandError, match="has not moved into it"):
        leave_by_command(path)
    with pytest.raises(MigrationError, match="nothing to take away"):
        move_out(path)
    assert path.read_bytes() == before


def test_the_audit_log_goes_although_it_is_append_only(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    schema = orchestrator.schema_objects(path)
    move_in(path)
    with store_at(path) as using:
        models.AuditEntry.objects.using(using).create(at=1, actor="ada", action="edit", noun="task", row_id="t")
    move_out(path)
    assert orchestrator.schema_objects(path) == schema


def test_a_store_that_the_dashboard_made_keeps_the_orchestrators_tables(tmp_path: Path) -> None:
    with store_at(tmp_path / "embedded.db") as using:
        call_command("migrate", database=using, verbosity=0)
        left = leave(using)
    assert left.identical is None
    assert look(tmp_path / "embedded.db").layout == "version 5"


def test_a_departure_that_cannot_be_proved_does_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_store(tmp_path / "store.db", "version 4")
    move_in(path)
    adopted = orchestrator.schema_objects(path)
    monkeypatch.setattr(leaving, "_undo", lambda *_: None)
    with pytest.raises(MigrationError, match="would not be as it was found: tasks"):
        move_out(path)
    assert orchestrator.schema_objects(path) == adopted


def test_the_status_notices_that_the_dashboard_left(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path)
    with store_at(path) as using:
        assert store_status(using).is_ready
        leave(using)
        assert store_status(using).state == "not adopted"


def test_the_journal_mode_stays_while_another_program_has_the_file_open(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store.db")
    move_in(path, wal=True)
    with orchestrator.Orchestrator(path) as daemon:
        daemon.rows("SELECT count(*) FROM events")
        left = move_out(path)
    assert left.identical is True
    assert "still WAL" in left.notes[0]


@pytest.mark.alone
def test_leaving_never_makes_the_orchestrator_fail_or_wait(quick_disk: Path) -> None:
    path = make_store(quick_disk / "store.db")
    move_in(path, wal=True)
    with watched(path, "--per-second", "100") as run:
        move_out(path)
        run.writers[0].await_saves()
    assert run.harm(held_seconds(path)) == []


def test_leaving_while_capture_is_on_takes_the_triggers_and_what_they_kept(tmp_path: Path):
    path = make_store(tmp_path / "theirs.db")
    move_in(path)
    with store_at(path) as using:
        capture.switch_on(by=audit.SYSTEM, using=using)
    with orchestrator.Orchestrator(path) as saving:
        for step in range(2):
            saving.save_agent("captured", f'{{"step": {step}}}')
        assert saving.rows("SELECT count(*) FROM dash_capture") == [(1,)]
    assert move_out(path).identical
    with orchestrator.Orchestrator(path) as saving:
        saving.save_agent("captured", '{"step": 2}')


def test_archived_records_are_put_back_before_leaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive_of_states, "NOTICED_SECONDS", 0.0)
    path = make_store(tmp_path / "store.db")
    move_in(path)
    before = rows_of(path)
    with store_at(path) as using:
        moved = [moved.records for _, moved in archive.archive_before(using, 2**40, by=audit.SYSTEM)]
        assert moved
        with pytest.raises(Conflict, match="records are archived and would be lost"):
            leave(using)
    assert rows_of(path) != before
    told = leave_by_command(path)
    assert "archived records are put back first" in told
    assert rows_of(path) == before


def rows_of(path: Path) -> list[Any]:
    """Return the rows of transitions and snapshots, with their rowids."""
    connection = sqlite3.connect(path)
    found = [connection.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()
             for table in ("state_transitions", "state_snapshots")]  # fmt: skip
    connection.close()
    return found
