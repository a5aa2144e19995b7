"""Disks of sources and of mirrors: what may not be written is read, and a mirror on a full disk goes on with room."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.bench import langgraph_files
from tests.faults.scale import tell
from tests.faults.sites import ROOT
from tests.sources.conftest import FILES
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

SMALL = FILES / "langgraph" / "small.sqlite"
SOURCES = {
    "in rollback-journal mode": "delete",
    "in WAL mode": "wal",
    "in WAL mode, with a log that was left": "log",
    "in WAL mode, with its program": "program",
}


@contextmanager
def mounted(directory: Path, megabytes: int) -> Iterator[Path]:
    """Give a disk in memory; the test is skipped where none can be mounted."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "statestore-test", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        yield directory
    finally:
        leave = ["umount", str(directory)]
        wait_for(lambda: subprocess.run(leave, capture_output=True, check=False).returncode == 0, "the disk is left")


def run(source: Path, var: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name not in {"STORE_URL", "DATABASE_URL"}}
    return subprocess.run(
        [sys.executable, "manage.py", "open", str(source), "--no-serve"], cwd=ROOT,
        env={**kept, "VAR_DIR": str(var), "STORE_URL": "", "DATABASE_URL": "", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    # The index of the log is shared memory: it may change while a program has the file open.
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


@contextmanager
def made(path: Path, how: str) -> Iterator[None]:
    """Give a source; its program has it open meanwhile, or left its log."""
    with closing(sqlite3.connect(shutil.copy(SMALL, path), isolation_level=None)) as program:
        program.execute(f"PRAGMA journal_mode = {'delete' if how == 'delete' else 'wal'}")
        if how in {"log", "program"}:
            program.execute("UPDATE checkpoints SET metadata = metadata")
        if how == "program":
            yield
            return
        if how == "log":
            left = path.with_name(f"{path.name}-wal").read_bytes()
    if how == "log":
        path.with_name(f"{path.name}-wal").write_bytes(left)
    yield


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_on_a_read_only_disk_is_mirrored(tmp_path: Path, var: Path, kind: str):
    with mounted(tmp_path / "disk", 4) as disk, made(disk / "agents.db", SOURCES[kind]):
        before = contents(disk)
        subprocess.run(["mount", "-o", "bind", str(disk), str(disk)], check=True, capture_output=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True, capture_output=True)
            with pytest.raises(OSError, match="Read-only"):
                (disk / "other").touch()
            done = run(disk / "agents.db", var)
        finally:
            subprocess.run(["umount", str(disk)], check=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert "2 threads, 20 checkpoints" in done.stdout
        assert contents(disk) == before


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_on_a_full_disk_is_mirrored(tmp_path: Path, var: Path, kind: str):
    with mounted(tmp_path / "disk", 4) as disk, made(disk / "agents.db", SOURCES[kind]):
        fill(disk)
        before = contents(disk)
        done = run(disk / "agents.db", var)
        assert done.returncode == 0, done.stderr
        assert "2 threads, 20 checkpoints" in done.stdout
        assert contents(disk) == before


def fill(disk: Path, room: int = 0) -> None:
    free = os.statvfs(disk)
    with (disk / "ballast").open("wb") as ballast:
        ballast.write(b"x" * (free.f_bavail * free.f_bsize - room))


def test_a_log_that_no_room_is_left_to_copy_is_said_to_need_room(tmp_path: Path, var: Path):
    with mounted(tmp_path / "temporary", 1) as temporary, made(tmp_path / "agents.db", "log"):
        fill(temporary, 16 * 1024)
        done = run(tmp_path / "agents.db", var, TMPDIR=str(temporary))
    assert done.returncode != 0
    assert "no room" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mirror_that_fills_its_disk_says_so_and_is_whole_once_there_is_room(tmp_path: Path, var: Path):
    source = tmp_path / "agents.db"
    langgraph_files.make(source, 200, 20, 40)
    with mounted(tmp_path / "disk", 128) as disk:
        shutil.move(var, disk / "var")
        fill(disk, 1024 * 1024)
        full = run(source, disk / "var")
        assert full.returncode != 0, full.stdout
        assert "full" in full.stderr
        assert "Traceback" not in full.stderr
        (disk / "ballast").unlink()
        again = run(source, disk / "var")
        assert again.returncode == 0, again.stderr
        with closing(sqlite3.connect(disk / "var" / "descartes.db")) as store:
            ((steps,),) = store.execute("SELECT count(*) FROM state_transitions WHERE agent_id LIKE 'agents/%'")
            assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tell("mirror on a full disk", steps=steps, failures=steps != 4_000, canary="none")
    assert steps == 4_000
