"""The commands: backup, verify-backup, restore-backup, drill."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from statestore import backups
from statestore.db.routers import store_alias
from tests.commands import manage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("filled")]


def run(name: str, *words: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command(name, *words, stdout=out, **options)
    return out.getvalue().splitlines()


def test_the_last_line_is_the_backups_path(tmp_path: Path):
    path = Path(run("backup", to=tmp_path)[-1])
    assert backups.at(path).manifest.file_of("store")


def test_a_backup_is_verified_restored_and_drilled(tmp_path: Path, on_sqlite: bool):
    path = run("backup", to=tmp_path / "backups")[-1]
    assert run("verify-backup", path)[-1] == "The backup is whole."
    assert "can be restored" in run("drill", directory=tmp_path / "backups")[-1]
    if on_sqlite:
        target = tmp_path / "new.db"
        assert run("restore-backup", path, to=str(target))[-1] == str(target)
        assert target.exists()


def test_a_damaged_backup_fails_the_command_and_names_the_file(tmp_path: Path):
    path = Path(run("backup", to=tmp_path)[-1])
    name = backups.at(path).manifest.files[0].name
    (path / name).write_bytes(b"")
    with pytest.raises(CommandError, match=name):
        run("verify-backup", str(path))
    with pytest.raises(CommandError, match=name):
        run("drill", directory=tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [(("verify-backup", "/nonexistent"), "is not a backup"), (("restore-backup", "/", "--to=x.db"), "is not a backup")],
)
def test_what_is_no_backup_is_refused(words: tuple[str, ...], message: str):
    with pytest.raises(CommandError, match=message):
        run(*words)


def test_a_drill_without_backups_says_what_to_do(tmp_path: Path):
    with pytest.raises(CommandError, match=r"has no backups\. Run `manage\.py backup`"):
        run("drill", directory=tmp_path)


def test_a_dump_is_restored_into_an_empty_database_alone(tmp_path: Path, on_sqlite: bool):
    if on_sqlite:
        return
    settings = connections[store_alias()].settings_dict
    socket = str(settings["HOST"]).replace("/", "%2F")
    path = run("backup", to=tmp_path)[-1]
    name = f"{settings['NAME']}_restored"
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        url = f"postgres://{settings['USER']}@{socket}/{name}"
        assert manage({}, ["restore-backup", path, "--to", url]).splitlines()[-1] == url
        with pytest.raises(AssertionError, match="That database has tables"):
            manage({}, ["restore-backup", path, "--to", url])
    finally:
        with connections[store_alias()].cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}"')
