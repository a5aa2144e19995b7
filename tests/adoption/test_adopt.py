"""`manage.py adopt`: what it recognises, what it refuses, and that it does all or nothing."""

import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.migrations.state import ModelState, StateApps
from pytest_django.plugin import DjangoDbBlocker

from statestore.adoption import schema_detection
from statestore.adoption.adopt import _switch_to_wal, adopt
from statestore.adoption.probe import look
from statestore.adoption.status import store_status
from statestore.adoption.temporary_store import store_at
from statestore.backups.sqlite_copy import take_backup
from statestore.db import orchestrator_schema as schema
from statestore.errors import DatabaseError
from statestore.operations import doctor
from statestore.store import StateStore
from tests.foreign import hostile, orchestrator
from tests.foreign.harm import held_seconds, watched
from tests.stores import adopt_by_command, execute, fingerprint, make_store

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def version_5(tmp_path: Path) -> Path:
    return make_store(tmp_path / "five.db")


@pytest.fixture
def version_4(tmp_path: Path) -> Path:
    return make_store(tmp_path / "four.db", "version 4")


@pytest.fixture
def init(tmp_path: Path) -> Path:
    return make_store(tmp_path / "init.db", "the init layout")


def columns(path: Path, table: str) -> set[tuple[str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
    connection.close()
    return set(rows)


def content(path: Path, table: str, of: str = "*") -> list[Any]:
    connection = sqlite3.connect(path)
    rows = connection.execute(f"SELECT rowid, {of} FROM {table} ORDER BY rowid").fetchall()
    connection.close()
    return rows


# What it recognises


def test_our_schema_is_the_orchestrators(tmp_path: Path) -> None:
    ours = sqlite3.connect(tmp_path / "ours.db")
    for statement in schema.create_statements():
        ours.execute(statement)
    ours.close()
    theirs = orchestrator.create(tmp_path / "theirs.db")
    for table in schema.TABLES:
        assert columns(tmp_path / "ours.db", table) == columns(theirs, table)
    names = [[row[:3] for row in orchestrator.schema_objects(path)] for path in (tmp_path / "ours.db", theirs)]
    assert names[0] == names[1]


def test_look_names_each_layout(version_5: Path, version_4: Path, init: Path) -> None:
    assert look(version_5).layout == schema_detection.VERSION_5
    assert look(version_4).layout == schema_detection.VERSION_4
    assert look(init).layout == schema_detection.INIT
    assert look(version_5).rows["agent_states"] == 5


def test_look_leaves_no_trace_beside_a_file_in_wal(version_5: Path) -> None:
    execute(version_5, "PRAGMA journal_mode = wal")
    before = fingerprint(version_5.parent)
    found = look(version_5)
    assert (found.journal_mode, found.refusal) == ("wal", "")
    assert fingerprint(version_5.parent) == before


def test_an_init_file_on_which_the_orchestrator_failed_is_still_recognised(init: Path) -> None:
    connection = orchestrator.connect(init)
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        orchestrator.migrate(connection)
    connection.close()
    assert look(init).layout == schema_detection.INIT
    adopt_by_command(init)
    with orchestrator.Orchestrator(init) as daemon:
        assert orchestrator.migrate(daemon.connection) == []


# What it does


@pytest.mark.parametrize("layout", ["version_5", "version_4", "init"])
def test_adoption_makes_a_store_that_is_ready(layout: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(layout)
    adopt_by_command(path)
    with store_at(path) as using:
        assert store_status(using).is_ready
    assert look(path).is_done
    for table in schema.TABLES:
        assert columns(path, table) == {*schema_detection.expected_shape(table).items()}


@pytest.mark.parametrize("layout", ["version_4", "init"])
def test_the_orchestrator_finds_version_5_and_does_nothing(layout: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(layout)
    adopt_by_command(path)
    before = orchestrator.schema_objects(path)
    with orchestrator.Orchestrator(path) as daemon:
        assert orchestrator.migrate(daemon.connection) == []
        first = daemon.save_task("first", priority="high")
        daemon.save_task("second", dependencies=[first])
        daemon.save_event("saved after adoption")
        assert daemon.rows("SELECT typeof(created_at) FROM events ORDER BY rowid DESC LIMIT 1") == [("text",)]
        assert daemon.rows("SELECT count(*) FROM task_dependencies") == [(1,)]
    assert orchestrator.schema_objects(path) == before


@pytest.mark.parametrize("layout", ["version_5", "version_4", "init"])
def test_adoption_keeps_every_row_and_its_order(layout: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(layout)
    tables = {"tasks": "id, title, status, updated_at", "events": "id, content, timestamp"}
    before = {table: content(path, table, of) for table, of in tables.items()}
    adopt_by_command(path)
    assert {table: content(path, table, of) for table, of in tables.items()} == before
    assert all(before.values())


def test_adoption_copes_with_hostile_content(tmp_path: Path) -> None:
    path = orchestrator.create(tmp_path / "hostile.db")
    counts = hostile.fill(path)
    adopt_by_command(path)
    assert {table: look(path).rows[table] for table in counts} == counts


def test_adoption_passes_by_edges_that_point_nowhere(version_5: Path) -> None:
    execute(version_5, "INSERT INTO task_dependencies (task_id, depends_on_task_id) VALUES ('gone', 'gone too')")
    adopt_by_command(version_5)
    assert look(version_5).is_done


def test_a_second_adoption_changes_nothing(version_5: Path) -> None:
    adopt_by_command(version_5)
    before = fingerprint(version_5.parent)
    assert "Nothing to do" in adopt_by_command(version_5)
    assert adopt(version_5, backup_dir=version_5.parent / "backups").backup is None
    assert fingerprint(version_5.parent) == before


def test_wal_is_offered_and_switched_on_when_asked(version_5: Path) -> None:
    assert "--wal" in adopt_by_command(version_5)
    assert look(version_5).journal_mode == "delete"
    adopt_by_command(version_5, wal=True)
    assert look(version_5).journal_mode == "wal"


def test_a_store_that_is_read_all_the_time_is_not_switched_to_wal(
    version_5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statestore.adoption.adopt._WAL_SECONDS", 0.1)
    adopt_by_command(version_5)
    started = time.monotonic()
    with closing(sqlite3.connect(version_5, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tasks").fetchone()
        with store_at(version_5) as using:
            connections[using].ensure_connection()
            connections[using].cursor().execute("PRAGMA busy_timeout = 50")
            (note,) = _switch_to_wal(using)
    assert "other programs were using it" in note
    assert "Repeat with --wal" in note
    assert look(version_5).journal_mode == "delete"
    assert time.monotonic() - started < 30, "the limit counts seconds, not attempts"


@pytest.mark.parametrize("layout", ["version_5", "version_4", "init"])
def test_a_dry_run_writes_nothing(layout: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(layout)
    before = fingerprint(path.parent)
    said = adopt_by_command(path, dry_run=True, wal=True)
    assert "In one transaction" in said
    assert "Nothing was written" in said
    assert fingerprint(path.parent) == before
    assert not (path.parent / "backups").exists()


def test_without_yes_nobody_to_ask_means_no(version_5: Path) -> None:
    before = fingerprint(version_5.parent)
    with pytest.raises(CommandError, match="--yes"):
        adopt_by_command(version_5, yes=False)
    assert fingerprint(version_5.parent) == before


# The backup


def test_the_backup_is_private_whole_and_confirmed_by_its_manifest(version_5: Path) -> None:
    done = adopt(version_5, backup_dir=version_5.parent / "backups")
    assert done.backup is not None
    manifest = json.loads(done.backup.manifest.read_text())
    assert hashlib.sha256(done.backup.path.read_bytes()).hexdigest() == manifest["sha256"] == done.backup.sha256
    assert manifest["tables"]["agent_states"] == 5
    for path in (done.backup.path, done.backup.manifest):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(done.backup.path.parent.stat().st_mode) == 0o700
    # It is the file as it was before adoption.
    assert look(done.backup.path).layout == schema_detection.VERSION_5
    assert not look(done.backup.path).adopted


def test_a_backup_that_fails_leaves_nothing_behind_and_stops_the_adoption(version_5: Path) -> None:
    backups = version_5.parent / "backups"
    backups.mkdir()
    before = fingerprint(version_5.parent)
    with pytest.raises(DatabaseError, match="Nothing was changed"):
        take_backup(version_5, backups, seconds=-1)
    assert not list(backups.iterdir())
    blocked = version_5.parent / "five.db" / "backups"
    with pytest.raises((DatabaseError, OSError)):
        adopt(version_5, backup_dir=blocked)
    assert fingerprint(version_5.parent) == before


# All or nothing, and never in the way

CRASHING = """
import os, signal, sys
import django
django.setup()
from django.db.backends.signals import connection_created
left = int(sys.argv[2])
def count(execute, *arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(*arguments)
connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(count), weak=False)
from statestore.adoption.adopt import adopt
from pathlib import Path
adopt(sys.argv[1], backup_dir=Path(sys.argv[1]).parent / "backups")
print(int(sys.argv[2]) - left)
"""


def _adopt_in_a_process(path: Path, *, killed_at: int) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "descartes_site.settings",
        "STORE_URL": f"sqlite:///{path.parent}/unused.db",
        "DATABASE_URL": f"sqlite:///{path.parent}/dashboard.db",
    }
    return subprocess.run(
        [sys.executable, "-c", CRASHING, str(path), str(killed_at)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.faults
def test_an_adoption_that_is_killed_leaves_the_file_as_found_or_done(version_4: Path, tmp_path: Path) -> None:
    spare = orchestrator.create(tmp_path / "spare.db", version=4)
    done = _adopt_in_a_process(spare, killed_at=1_000_000)
    statements = int(done.stdout)
    assert statements > 30, done.stderr
    found = orchestrator.schema_objects(version_4)
    adopted = [row[:3] for row in orchestrator.schema_objects(spare)]
    outcomes = set()
    for killed_at in sorted({2, 4, 8, *range(12, statements, statements // 5), statements}):
        assert _adopt_in_a_process(version_4, killed_at=killed_at).returncode == -signal.SIGKILL
        now = orchestrator.schema_objects(version_4)  # opening it rolls back what was not committed
        assert now == found or [row[:3] for row in now] == adopted
        outcomes.add(now == found)
    assert True in outcomes
    adopt_by_command(version_4)
    assert [row[:3] for row in orchestrator.schema_objects(version_4)] == adopted


def test_no_models_are_rendered_while_the_file_is_locked(version_5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[bool] = []
    render = ModelState.render

    def noted(state: ModelState, apps: StateApps) -> Any:
        rendered.append(any(connection.in_atomic_block for connection in connections.all(initialized_only=True)))
        return render(state, apps)

    monkeypatch.setattr(ModelState, "render", noted)
    adopt(version_5, backup_dir=version_5.parent / "backups")
    assert rendered, "the test saw nothing"
    assert not any(rendered)


@pytest.mark.alone
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_moving_a_file_of_22_mb_in_and_out_finds_a_gap_between_the_saves(mode: str, quick_disk: Path) -> None:
    path = make_store(quick_disk / "five.db")
    execute(path, f"PRAGMA journal_mode = {mode}", *["INSERT INTO state_snapshots VALUES"
            " (hex(randomblob(16)), 'planner', hex(zeroblob(500000)), NULL, 1, NULL)"] * 22)  # fmt: skip
    with watched(path, "--per-second", "100") as run:
        adopt_by_command(path)
        run.writers[0].await_saves()
        call_command("leave", path=str(path), yes=True, backup_dir=path.parent / "backups", stdout=StringIO())
        run.writers[0].await_saves()
    assert run.harm(held_seconds(path)) == []


LEASES_MIGRATIONS = """CREATE TABLE migrations (
    version INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    applied_at INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'success',
    error_message TEXT
)"""


@pytest.mark.parametrize("layout", ["version 5", "version 4"])
def test_a_migrations_table_that_the_lease_manager_made_is_no_reason_to_refuse(tmp_path: Path, layout: str) -> None:
    path = make_store(tmp_path / "store.db", layout)
    execute(
        path, "CREATE TABLE kept AS SELECT version, name, description, applied_at FROM migrations",
        "DROP TABLE migrations", LEASES_MIGRATIONS,
        "INSERT INTO migrations (version, name, description, applied_at) SELECT * FROM kept", "DROP TABLE kept",
    )  # fmt: skip
    found = orchestrator.schema_objects(path)
    adopt_by_command(path)
    with store_at(path) as using:
        assert store_status(using).is_ready
        history = StateStore(using=using).get_migration_history()
        assert [migration.version for migration in history] == [1, 2, 3, 4, 5]
        assert {finding.level for finding in doctor.examine(using, thorough=True)} <= {"ok", "warn"}
    call_command("leave", path=str(path), yes=True, backup_dir=tmp_path / "backups", stdout=StringIO())
    assert orchestrator.schema_objects(path) == found


# Before adoption


def test_the_status_of_a_store_says_what_it_is_and_what_to_do(version_5: Path, init: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("agents: none\n" * 1_000)
    expected = {
        version_5: ("not adopted", "version 5"),
        init: ("not adopted", "the init layout"),
        tmp_path / "none.db": ("missing", "does not exist"),
        tmp_path: ("unreadable", "is not a file"),
        tmp_path / "text.db": ("unreadable", "not a database"),
    }
    for path, (state, words) in expected.items():
        with store_at(path) as using:
            status = store_status(using)
        assert status.state == state
        assert words in status.found
        assert "manage.py" in status.remedy or "STORE_URL" in status.remedy
    assert not (tmp_path / "none.db").exists()
