"""What is printed to be pasted into a shell works there, for any name of the orchestrator's folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from descartes_site import database_urls
from statestore.adoption import ownership
from statestore.adoption.status import store_status
from statestore.adoption.temporary_store import store_at
from statestore.db import shell
from statestore.operations import doctor
from tests.faults.scale import LONG
from tests.stores import adopt_by_command, execute, make_store

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "ops #1 x", "it's", "$HOME", "100%", "50%20", "what?", "größe 日本", 'a"b', "`id`", "a&b;c|d", "(x) [y] {z}", "~",
    "c++", "-n", "back\\slash", "a\nb\x1b[31m", os.fsdecode(b"caf\xe9 %"), "plain",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


def in_a_shell(line: str, name: str = "STORE_URL") -> str:
    """Return a variable as a program sees it that is started after a pasted line."""
    command = f'{line}\n{sys.executable} -c \'import os; print(ascii(os.environ["{name}"]), end="")\''
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env={"PATH": os.defpath})
    return str(eval(done.stdout))


@pytest.mark.thorough
@pytest.mark.parametrize("folder", FOLDERS if LONG else FOLDERS[::3])
def test_the_line_that_adopt_prints_names_the_file_when_it_is_pasted(tmp_path: Path, folder: str):
    (tmp_path / folder).mkdir()
    path = make_store(tmp_path / folder / "store.db")
    said = adopt_by_command(path)
    (line,) = [line for line in said.splitlines() if "STORE_URL=" in line]
    assert database_urls.parsed(in_a_shell(line))["NAME"] == str(path)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_path_is_one_word_of_a_shell(folder: str):
    word = shell.word(f"/srv/{folder}/x.db")
    assert word.isprintable()
    assert in_a_shell(f"export FOUND={word}", "FOUND") == f"/srv/{folder}/x.db"


def pasted_paths(text: str) -> list[str]:
    """Return the paths in the commands that a text shows, as a shell takes them."""
    commands = re.findall(r"`manage\.py (?:adopt|import) (.*?)`(?: |\.|,|$)", text)
    words = [command.replace(" --wal", "").replace("--dry-run ", "") for command in commands]
    return [in_a_shell(f"export FOUND={word}", "FOUND") for word in words]


def test_commands_in_findings_name_the_file_when_they_are_pasted(tmp_path: Path):
    (tmp_path / "it's #1").mkdir()
    path = make_store(tmp_path / "it's #1" / "store.db")
    with store_at(path) as using:
        assert pasted_paths(store_status(using).remedy) == [str(path)]
        assert pasted_paths(ownership.refusal(connections[using])) == [str(path)]
    adopt_by_command(path)
    execute(path, "PRAGMA journal_mode = delete")
    with store_at(path) as using:
        texts = " ".join(finding.remedy for finding in doctor.examine(using, thorough=False))
        assert pasted_paths(texts) == [str(path)]
    path.write_text("not a database, but as long as the header of one, and longer than that " * 10)
    with store_at(path) as using:
        assert pasted_paths(store_status(using).remedy) == [str(path)]


def test_commands_work_in_any_folder_and_take_paths_from_there(tmp_path: Path):
    make_store(tmp_path / "store.db")
    (tmp_path / "elsewhere").mkdir()
    environment = {**os.environ, "VAR_DIR": str(tmp_path / "var"), "STORE_URL": f"sqlite:///{tmp_path / 'store.db'}"}

    def manage(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words], cwd=tmp_path / "elsewhere", env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "store.db") in manage("adopt", "../store.db", "--yes", "--stopped", "--backup-dir", "kept")
    manage("migrate", "-v", "0")
    manage("export", "out.ndjson.gz")
    manage("import", "./out.ndjson.gz", "--dry-run")
    manage("leave", "--path", "../store.db", "--yes", "--stopped", "--backup-dir", "kept")
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {"kept", "out.ndjson.gz"}
    assert len(list((tmp_path / "elsewhere" / "kept").glob("*.db"))) == 2


def test_the_help_of_a_dry_run_shows_no_line_to_paste(tmp_path: Path):
    out = StringIO()
    call_command("adopt", str(make_store(tmp_path / "store.db")), dry_run=True, stdout=out)
    assert "STORE_URL" not in out.getvalue()
