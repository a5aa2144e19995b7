"""VACUUM is done only where it is safe, and gives free pages back."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statestore.db.routers import store_alias
from statestore.db.sqlite import open_files
from statestore.errors import Conflict
from statestore.operations import vacuum
from tests.commands import manage

pytestmark = pytest.mark.django_db


@pytest.mark.sqlite
def test_vacuum_refuses_without_space_with_an_orchestrator_and_while_the_file_is_open(
    monkeypatch: pytest.MonkeyPatch, settings: Any
):
    using = store_alias()
    settings.STORE_IS_EMBEDDED = False
    with pytest.raises(Conflict, match="--stopped"):
        vacuum.vacuum(using)
    settings.STORE_IS_EMBEDDED = True
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(Conflict, match="bytes of free space"):
        vacuum.vacuum(using)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))
    monkeypatch.setattr(open_files, "open_elsewhere", lambda _: [4711])
    with pytest.raises(Conflict, match="4711"):
        vacuum.vacuum(using)


def test_another_process_that_has_a_file_open_is_found(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("x")
    assert open_files.open_elsewhere(path) == []
    code = f"f = open({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert open_files.open_elsewhere(path) == [other.pid]
        other.communicate("\n")


@pytest.mark.sqlite
@pytest.mark.slow
def test_vacuum_gives_free_pages_back(tmp_path: Path):
    variables = {"VAR_DIR": str(tmp_path)}
    fill_and_empty = (
        "from django.db import connections; c = connections['store'].cursor();"
        'c.execute("INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content) VALUES'
        " ('e', 't', 1, 's', 'User', 'u', zeroblob(3000000))\"); c.execute('DELETE FROM events')"
    )
    said = manage(
        variables, ["migrate", "--database", "default", "-v", "0"], ["migrate", "--database", "store", "-v", "0"],
        ["shell", "-v", "0", "-c", fill_and_empty], ["vacuum", "--yes"],
    )  # fmt: skip
    before, after = (
        int(word.replace(",", "")) for word in said.splitlines()[-1].replace(" bytes became", "").rstrip(".").split()
    )
    assert before - after > 2_500_000
