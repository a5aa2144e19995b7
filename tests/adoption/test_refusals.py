"""What `manage.py adopt` refuses: by its reason, at once, and without touching a byte."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from pytest_django.plugin import DjangoDbBlocker

from statestore.adoption import probe_process
from statestore.adoption.adopt import adopt
from statestore.backups import sqlite_copy
from statestore.backups.sqlite_copy import take_backup
from statestore.errors import DatabaseError, MigrationError
from tests.foreign import orchestrator
from tests.stores import adopt_by_command, execute, fingerprint, make_store

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def version_5(tmp_path: Path) -> Path:
    return make_store(tmp_path / "five.db")


def _missing(path: Path) -> None:
    path.unlink()


def _symlink(path: Path) -> None:
    path.rename(path.with_name("real.db"))
    path.symlink_to("real.db")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _socket(path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("agents: none\n" * 1_000)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


def _damaged(path: Path) -> None:
    connection = sqlite3.connect(path)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'idx_events_actor_id'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + size - 600)
        file.write(b"\x7f" * 600)


def _sql(*statements: str) -> Callable[[Path], None]:
    return lambda path: execute(path, *statements)


def _replaced(path: Path, *statements: str) -> None:
    path.unlink()
    execute(path, *statements)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS key FROM n"

REFUSALS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (_missing, "The file cannot be read"),
    "symlink": (_symlink, "symbolic link"),
    "pipe": (_pipe, "a named pipe"),
    "directory": (_directory, "a directory"),
    "socket": (_socket, "a socket"),
    "zero bytes": (_empty, "zero bytes"),
    "text": (_text, "not an SQLite database"),
    "cut off": (_cut, "damaged"),
    "damaged": (_damaged, "It is damaged"),
    "no tables": (lambda p: _replaced(p, "CREATE TABLE x (a)", "DROP TABLE x"), "without tables"),
    "another program": (lambda p: _replaced(p, "CREATE TABLE songs (title)"), "none of its tables .* songs"),
    "shared names": (
        lambda p: _replaced(p, "CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT)", "CREATE TABLE agents (id)"),
        "events lacks actor_id.*table tasks is missing",
    ),
    "state machine": (
        lambda p: _replaced(p, "CREATE TABLE state_transitions (workflow_id TEXT, from_state TEXT, to_state TEXT)"),
        "state_transitions has from_state, to_state, workflow_id",
    ),
    "extra column": (_sql("ALTER TABLE agent_states ADD COLUMN mood TEXT"), "agent_states has mood"),
    "other type": (
        _sql("DROP TABLE sessions", "CREATE TABLE sessions (id TEXT PRIMARY KEY, agent_id TEXT, started_at TEXT,"
             " ended_at INTEGER, status TEXT, metadata TEXT, created_at INTEGER)"),
        "sessions.started_at is TEXT instead of INTEGER",
    ),
    "endless view": (
        _sql("DROP TABLE agent_states", f"CREATE VIEW agent_states AS {ENDLESS}"), "agent_states is a view"
    ),
    "virtual table": (
        _sql("DROP TABLE agent_states", "CREATE VIRTUAL TABLE agent_states USING fts5(key)"), "is a virtual table"
    ),
    "trigger": (
        _sql("CREATE TRIGGER spy AFTER INSERT ON events BEGIN DELETE FROM tasks; END"), "carries triggers.*spy"
    ),
    "trigger with our name": (
        _sql("CREATE TRIGGER dash_spy AFTER INSERT ON events BEGIN DELETE FROM tasks; END"), "triggers.*dash_spy"
    ),
    "table with our name": (_sql("CREATE TABLE dash_audit (id)"), "dash_audit, names that only"),
    "half-applied": (_sql("DELETE FROM migrations WHERE version = 5"), "a migration was interrupted"),
    "newer": (
        _sql("INSERT INTO migrations (version, name, applied_at) VALUES (6, 'next', 1)"), "names version 6"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_file_that_is_not_a_sound_store_is_refused_and_left_untouched(case: str, version_5: Path) -> None:
    spoil, reason = REFUSALS[case]
    spoil(version_5)
    before = fingerprint(version_5.parent)
    with pytest.raises(CommandError, match=reason):
        adopt_by_command(version_5)
    with pytest.raises(MigrationError, match=reason):
        adopt(version_5, backup_dir=version_5.parent / "backups")
    assert fingerprint(version_5.parent) == before
    assert not (version_5.parent / "backups").exists()


def test_a_file_that_may_not_be_read_is_refused(version_5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: tests often run as root, who may read everything.
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert probe_process.inspect(version_5, stopped=False)["refusal"] == "It cannot be read: Permission denied."


def test_a_file_that_takes_too_long_to_check_is_checked_in_the_copy(
    version_5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_process, "LOOK_SECONDS", -1.0)
    assert probe_process.inspect(version_5, stopped=False)["refusal"] == ""
    assert probe_process.inspect(version_5, stopped=True)["refusal"] == ""
    damage_index(version_5)
    assert "damaged" in probe_process.inspect(version_5, stopped=True)["refusal"]
    before = fingerprint(version_5.parent)
    with pytest.raises(DatabaseError, match="the copy is damaged"):
        take_backup(version_5, version_5.parent / "backups", seconds=60)
    assert fingerprint(version_5.parent) == before
    assert not list((version_5.parent / "backups").iterdir())


def damage_index(path: Path) -> None:
    """Take an entry out of an index behind its table's back, as a faulty disk may."""
    execute(path, "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, '(status)', '(name)')"
            " WHERE name = 'idx_agent_states_status'")  # fmt: skip


def test_a_file_too_large_to_copy_while_saves_wait_is_refused_with_its_size(
    version_5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_copy, "_ATTEMPTS", 2)
    with pytest.raises(DatabaseError, match=r"it has \d+ MB, and copying takes longer .* add --stopped"):
        take_backup(version_5, version_5.parent / "backups", seconds=-1)
    assert take_backup(version_5, version_5.parent / "backups").path.exists()


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_file_in_another_encoding_is_refused_and_left_untouched(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "store.db"
    execute(path, f"PRAGMA encoding = '{encoding}'", "CREATE TABLE early (id)", "DROP TABLE early")
    make_store(path)
    before = fingerprint(tmp_path)
    with pytest.raises(CommandError, match=f"Its texts are stored as {encoding}"):
        adopt_by_command(path)
    assert fingerprint(tmp_path) == before


def test_what_a_crashed_writer_left_is_not_touched(version_5: Path) -> None:
    crash = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size = 2'); c.execute('BEGIN IMMEDIATE');"
        "c.execute('UPDATE events SET content = content || hex(randomblob(4000))'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", crash, str(version_5)], check=True)
    assert version_5.with_name("five.db-journal").exists()
    before = fingerprint(version_5.parent)
    with pytest.raises(CommandError, match="A writer crashed"):
        adopt_by_command(version_5)
    assert fingerprint(version_5.parent) == before


def test_a_hostile_file_name_cannot_colour_the_terminal(tmp_path: Path) -> None:
    path = orchestrator.create(tmp_path / "\x1b[31mred\n.db")
    said = adopt_by_command(path)
    assert "\x1b" not in said.replace("\x1b[32;1m", "").replace("\x1b[0m", "")
