"""The rights of files: ours are for their owner alone wherever they lie, the orchestrator's stay as they are."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from statestore.db.private_files import keep_private, make_private
from tests.test_settings import start

pytestmark = pytest.mark.slow

MIGRATE = (
    "import os; os.umask(0o022);"
    "from django.core.management import execute_from_command_line as run;"
    "[run(['manage.py', 'migrate', '-v', '0', '--database', alias]) for alias in ('default', 'store')]"
)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_database_of_users_is_private_in_any_directory(tmp_path: Path):
    dashboard, store = tmp_path / "elsewhere" / "users.db", tmp_path / "descartes.db"
    dashboard.parent.mkdir()
    variables = {"DATABASE_URL": f"sqlite:///{dashboard}", "STORE_URL": f"sqlite:///{store}", "VAR_DIR": str(tmp_path)}
    done = start(MIGRATE, **variables)
    assert done.returncode == 0, done.stderr
    assert rights(dashboard) == 0o600
    assert rights(store) == 0o644  # An orchestrator of another user's may have to read it.
    # As an earlier release left it, in use by another process.
    dashboard.chmod(0o664)
    other = sqlite3.connect(dashboard)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE other (x)")
    for suffix in ("-wal", "-shm"):
        Path(f"{dashboard}{suffix}").chmod(0o644)
    code = "import django; django.setup(); from django.contrib.auth.models import User; User.objects.exists()"
    done = start(code, **variables)
    assert done.returncode == 0, done.stderr
    assert {rights(path) for path in dashboard.parent.iterdir()} == {0o600}
    other.close()


def test_the_embedded_store_is_made_private(tmp_path: Path):
    done = start(MIGRATE, VAR_DIR=str(tmp_path / "var"), SECRET_KEY="")
    assert done.returncode == 0, done.stderr
    files = {path.name: rights(path) for path in (tmp_path / "var").iterdir() if path.is_file()}
    assert {"dashboard.db", "descartes.db", "secret_key"} <= files.keys()
    assert set(files.values()) == {0o600}


def test_a_key_that_others_could_read_is_taken_from_them(tmp_path: Path):
    key = tmp_path / "secret_key"
    key.write_text("k" * 50)
    key.chmod(0o644)
    assert start(VAR_DIR=str(tmp_path), SECRET_KEY="").returncode == 0
    assert rights(key) == 0o600


def test_no_lock_is_lost_by_it(tmp_path: Path):
    """Closing any descriptor of a file drops the POSIX locks that SQLite holds on it in this process."""
    path = str(tmp_path / "a.db")
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("CREATE TABLE a (x)")
    first.execute("BEGIN EXCLUSIVE")
    make_private(path)
    keep_private(path)
    code = f"import sqlite3; sqlite3.connect({path!r}, timeout=0).execute('BEGIN IMMEDIATE')"
    assert "database is locked" in start(code).stderr
    first.execute("ROLLBACK")
    first.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_root_is_told_at_the_start():
    code = (
        "import django; django.setup(); from statestore.management.commands.serve import is_container, is_root;"
        "print(is_root(), is_container())"
    )
    assert start(code).stdout.split()[0] == "True"
    assert start(code, container="podman").stdout.split()[1] == "True"
