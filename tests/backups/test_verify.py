"""A damaged backup is named as such, wherever the damage is; a whole one is put back as it was."""

import hashlib
import json
import random
import sqlite3
from pathlib import Path

import pytest

from statestore import backups
from statestore.backups import Backup, packing
from statestore.errors import Conflict, DatabaseError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("filled")]

DAMAGES = 300


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    return backups.take(tmp_path / "backups")


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file in one of the ways in which disks and transfers do, and say how."""
    raw = bytearray(path.read_bytes())
    place = chance.randrange(len(raw))
    match chance.choice(["flip", "cut", "zeros", "add"]):
        case "flip":
            raw[place] ^= 1 << chance.randrange(8)
        case "cut":
            del raw[place:]
        case "zeros":
            raw[place : place + 4096] = b"\0" * len(raw[place : place + 4096])
        case "add":
            raw[place:place] = b"x"
    path.write_bytes(raw)
    return f"{path.name} at {place}"


def test_each_of_300_damaged_backups_is_named(backup: Backup):
    chance = random.Random(16)
    paths = sorted(path for path in backup.path.iterdir() if path.name != "verified.json")
    whole = {path: path.read_bytes() for path in paths}
    unseen = []
    for _ in range(DAMAGES):
        path = chance.choice(paths)
        how = damage(path, chance)
        if path.read_bytes() != whole[path] and not any(path.name in fault for fault in backups.verify(backup)):
            unseen.append(how)
        path.write_bytes(whole[path])
    assert unseen == []
    assert backups.verify(backup) == [], "the undamaged backup is whole"


def test_a_manifest_that_fits_a_changed_copy_does_not_hide_the_change(backup: Backup, on_sqlite: bool):
    if not on_sqlite:
        return
    path = backup.path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM events WHERE rowid = 1")
    connection.commit()
    connection.close()
    body = json.loads((backup.path / "manifest.json").read_text())
    body["files"][0]["bytes"] = path.stat().st_size
    body["files"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (backup.path / "manifest.json").write_text(json.dumps(body))
    assert backups.verify(backup) == [f"{backup.path / 'manifest.json'} is damaged. Use another backup."]


def test_a_missing_file_is_named(backup: Backup):
    name = backup.manifest.files[0].name
    (backup.path / name).unlink()
    assert backups.verify(backup) == [f"{name} cannot be read: No such file or directory."]


def test_the_result_is_noted_with_the_backup(backup: Backup):
    (backup.path / backup.manifest.files[0].name).write_bytes(b"")
    backups.verify(backup)
    assert backup.verified is not None
    assert not backup.verified.is_good


def test_a_manifest_cannot_name_a_file_elsewhere(backup: Backup):
    path = backup.path / "manifest.json"
    path.write_text(
        path.read_text().replace(f'"name": "{backup.manifest.files[0].name}"', '"name": "../../etc/passwd"')
    )
    with pytest.raises(DatabaseError, match="is damaged"):
        _ = backup.manifest


@pytest.mark.sqlite
def test_a_packed_copy_is_unpacked_no_further_than_it_says(tmp_path: Path):
    packed = backups.take(tmp_path, pack=True)
    path = packed.path / "manifest.json"
    file = packed.manifest.file_of("store")
    assert file is not None
    target = tmp_path / "target"
    target.touch()
    with pytest.raises(DatabaseError, match="unpacks to more bytes than the manifest says"):
        packing.unpack(packed.path / file.name, target, size=file.unpacked_bytes // 2)
    assert target.stat().st_size <= file.unpacked_bytes // 2
    assert path.exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("pack", [False, True], ids=["plain", "packed"])
def test_a_backup_becomes_a_new_file_with_the_same_rows(tmp_path: Path, pack: bool):
    backup = backups.take(tmp_path / "backups", pack=pack)
    target = tmp_path / "restored.db"
    backups.restore_to_file(backup, target)
    connection = sqlite3.connect(target)
    ids = {row[0] for row in connection.execute("SELECT agent_id FROM agent_states")}
    connection.close()
    assert ids == {f"agent-{number}" for number in range(5)}
    assert oct(target.stat().st_mode & 0o777) == "0o600"


@pytest.mark.sqlite
def test_a_file_that_exists_is_never_overwritten(backup: Backup, tmp_path: Path):
    target = tmp_path / "there.db"
    target.write_text("mine")
    with pytest.raises(Conflict, match=r"there\.db exists\. Nothing was changed"):
        backups.restore_to_file(backup, target)
    assert target.read_text() == "mine"


@pytest.mark.sqlite
def test_a_damaged_backup_is_not_put_back(backup: Backup, tmp_path: Path):
    with (backup.path / "store.db").open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 100)
    with pytest.raises(DatabaseError, match="is damaged"):
        backups.restore_to_file(backup, tmp_path / "new.db")
    assert [path.name for path in tmp_path.iterdir()] == ["backups"]


def test_a_drill_restores_into_a_scratch_file_and_leaves_nothing(backup: Backup):
    before = {path.name for path in backup.path.parent.iterdir()}
    assert backups.drill(backup) == []
    assert backup.drilled is not None
    assert backup.drilled.is_good
    assert {path.name for path in backup.path.parent.iterdir()} == before


def test_a_drill_finds_a_damaged_backup(backup: Backup):
    (backup.path / backup.manifest.files[0].name).write_bytes(b"not a database")
    assert backups.drill(backup)
    assert backup.drilled is not None
    assert not backup.drilled.is_good
