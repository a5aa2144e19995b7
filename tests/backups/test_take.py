"""Backups are taken of both databases in use, verified, and never seen half."""

import sqlite3
import stat
from pathlib import Path

import pytest
from django.db import connections

from statestore import backups
from statestore.backups import taking, verification
from statestore.backups.contents import TableContents
from statestore.backups.directory import being_made
from statestore.db.routers import store_alias
from statestore.errors import Conflict, DatabaseError
from tests.builders import make_agent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("filled")]


def files_in(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()} if directory.exists() else set()


def test_a_backup_has_both_databases_and_says_what_they_hold(tmp_path: Path, on_sqlite: bool):
    backup = backups.take(tmp_path)
    files = {file.database: file for file in backup.manifest.files}
    assert set(files) == ({"store", "dashboard"} if store_alias() == "store" else {"both"})
    store = backup.manifest.file_of("store")
    assert store is not None
    assert store.compared
    assert store.kind == ("sqlite" if on_sqlite else "postgresql")
    assert {name: store.contents[name].rows for name in ("agent_states", "events", "tasks")} == {
        "agent_states": 5, "events": 5, "tasks": 1,
    }  # fmt: skip
    assert backup.verified is not None
    assert backup.verified.is_good


def test_only_its_owner_may_read_a_backup(tmp_path: Path):
    backup = backups.take(tmp_path / "made")
    paths = [backup.path.parent, backup.path, *backup.path.iterdir()]
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in paths if path.stat().st_mode & 0o077} == {}


def test_no_password_stands_in_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_sqlite: bool):
    if on_sqlite:
        return
    monkeypatch.setitem(connections[store_alias()].settings_dict, "PASSWORD", "hunter2")
    assert "hunter2" not in (backups.take(tmp_path).path / "manifest.json").read_text()


@pytest.mark.sqlite
def test_a_packed_backup_is_smaller_and_holds_the_same(tmp_path: Path):
    plain, packed = backups.take(tmp_path / "plain"), backups.take(tmp_path / "packed", pack=True)
    contents = [backup.manifest.file_of("store") for backup in (plain, packed)]
    assert contents[0] is not None
    assert contents[1] is not None
    assert contents[0].contents == contents[1].contents
    assert packed.bytes < plain.bytes / 2


@pytest.mark.sqlite
def test_a_copy_that_differs_from_the_original_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    contents_of = verification.contents_of

    def one_row_lost(path: Path, kind: str) -> dict[str, TableContents]:
        found = contents_of(path, kind)
        return {**found, "events": TableContents(4, "0" * 32)} if "events" in found else found

    monkeypatch.setattr(verification, "contents_of", one_row_lost)
    with pytest.raises(DatabaseError, match="The table events has 4 rows instead of 5"):
        backups.take(tmp_path)
    assert files_in(tmp_path) == {".lock"}


@pytest.mark.sqlite
def test_a_disk_without_room_is_refused_before_anything_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(taking.shutil, "disk_usage", lambda path: _Usage)
    with pytest.raises(DatabaseError, match=r"needs \d+ MB, and the disk of .* has 1 MB left.*Nothing was changed"):
        backups.take(tmp_path)
    assert files_in(tmp_path) == {".lock"}


class _Usage:
    free = 1_000_000


def test_two_backups_at_once_are_refused_in_words(tmp_path: Path):
    with (
        being_made(tmp_path),
        pytest.raises(Conflict, match="Another process is making a backup"),
    ):
        backups.take(tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path):
    left = tmp_path / ".20260101-000000.partial"
    left.mkdir()
    (left / "store.db").write_bytes(b"half")
    assert backups.newest_first(tmp_path) == []
    backup = backups.take(tmp_path)
    assert files_in(tmp_path) == {".lock", backup.name}


def test_directories_of_others_are_neither_listed_nor_removed(tmp_path: Path):
    for name in ("notes", ".hidden.partial", "20269999-000000", "20260101"):
        (tmp_path / name).mkdir()
    backup = backups.take(tmp_path)
    assert [found.name for found in backups.newest_first(tmp_path)] == [backup.name]
    assert {"notes", ".hidden.partial", "20269999-000000", "20260101"} <= files_in(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=r"The backup into .*/file/backups failed: .*Nothing was changed"):
        backups.take(tmp_path / "file" / "backups")


@pytest.mark.sqlite
def test_what_is_saved_later_is_not_in_it(tmp_path: Path):
    backup = backups.take(tmp_path)
    make_agent("late")
    connection = sqlite3.connect(backup.path / "store.db")
    found = connection.execute("SELECT count(*) FROM agent_states").fetchone()
    connection.close()
    assert found == (5,)
