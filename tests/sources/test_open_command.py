"""`manage.py open` as a process, with what is no source: it says what would help, and leaves everything as it was."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands import ROOT
from tests.sources.conftest import FILES

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

SMALL = FILES / "langgraph" / "small.sqlite"


def truncated(path: Path) -> None:
    path.write_bytes(SMALL.read_bytes()[:20_000])


def of_wrong_shape(path: Path) -> None:
    """The right names, and columns that no framework gives them."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE checkpoints (thread_id INTEGER, note BLOB)")
        connection.execute("CREATE TABLE agent_messages (message TEXT)")
        connection.commit()


def encrypted(path: Path) -> None:
    """An SQLCipher file has no header."""
    path.write_bytes(bytes(range(128, 256)) * 64)


# What is made at the path, and what is said of it.
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncated, "It is damaged, or was cut off while it was copied. Copy it again"),
    "of wrong shape": (of_wrong_shape, "is of no format that is known here. Its tables: agent_messages, checkpoints"),
    "encrypted": (encrypted, "If it is encrypted, open a decrypted copy."),
    "text": (lambda path: path.write_text("hello"), "but text. Open the database or the JSON"),
    "empty": (Path.touch, "but empty."),
    "a pickle": (lambda path: path.write_bytes(b"\x80\x04N."), "a Python pickle, which is never read here"),
    "a folder": (Path.mkdir, "is a folder without JSON files. Nothing was changed. Name a database in it"),
    "a pipe": (os.mkfifo, "is not a regular file, but a pipe, a device or a socket. Write its content to a file"),
    "missing": (lambda path: None, "cannot be read: No such file or directory. Check the path."),
    "a dangling link": (lambda path: path.symlink_to(path.with_name("gone")), "Check the path."),
}
UNREADABLE: dict[str, str] = {
    "/dev/zero": "is not a regular file, but a pipe, a device or a socket",
    "postgresql://ada:geheim@127.0.0.1:1/agents": "The server of the database agents cannot be reached",
    "postgresql://[": "cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    "https://example.com/agents.db": "https:// is not opened. Save what is there to a file",
    "": "Name a file, a folder of JSON files or the URL of a PostgreSQL database.",
}


def run(source: str, var: Path) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name not in {"STORE_URL", "DATABASE_URL"}}
    return subprocess.run(
        [sys.executable, "manage.py", "open", source, "--no-serve"], cwd=ROOT,
        env={**kept, "VAR_DIR": str(var), "STORE_URL": "", "DATABASE_URL": ""},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def expect_refused(done: "subprocess.CompletedProcess[str]", words: str) -> None:
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_source_is_refused_in_one_line_and_stays_as_it_is(var: Path, tmp_path: Path, kind: str):
    make, words = REFUSED[kind]
    folder = tmp_path / "agents"
    folder.mkdir()
    make(folder / "agents.db")
    before = contents(folder)
    expect_refused(run(str(folder / "agents.db"), var), words)
    assert contents(folder) == before


@pytest.mark.parametrize("source", UNREADABLE)
def test_what_is_no_file_is_refused_in_one_line(var: Path, source: str):
    expect_refused(run(source, var), UNREADABLE[source])


def test_damaged_values_are_mirrored_as_opaque_and_the_file_stays(tmp_path: Path, var: Path):
    folder = tmp_path / "agents"
    folder.mkdir()
    path = Path(shutil.copy(SMALL, folder / "agents.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = delete")
        connection.execute("UPDATE checkpoints SET checkpoint = randomblob(200)")
        connection.commit()
    before = contents(folder)
    done = run(str(path), var)
    assert done.returncode == 0, done.stderr
    assert "LangGraph checkpoints, SQLite, 2 threads, 20 checkpoints" in done.stdout
    assert contents(folder) == before
