"""The processes that `serve` runs beside its server processes, as they end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from statestore import children
from tests.waiting import HANG_SECONDS, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes that a test starts take an interrupt, which a shell lets those ignore that it runs behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.sqlite
@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("word", ["index", "housekeeping"])
def test_one_that_is_interrupted_ends_in_peace_and_gives_its_lease_back(word: str, tmp_path: Path):
    kept = ("STORE_URL", "STORES", "DATABASE_URL", "SEARCH_INDEX")
    environment = {name: value for name, value in os.environ.items() if name not in kept} | {"VAR_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "descartes_site", word, "--follow"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=ROOT
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: list(tmp_path.glob("*.lock")), "its lease", is_alive=lambda: process.poll() is None)
            # As the terminal does to all that runs in it, while the other end of its input is still open.
            process.send_signal(signal.SIGINT)
            process.wait(HANG_SECONDS)
        finally:
            process.kill()
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert "Traceback" not in said, said
    assert "Fatal" not in said, said
    assert process.returncode == 130


def test_where_names_cannot_be_asked_for_no_thread_goes_on():
    went_on, names = threading.Event(), iter([["a"]])

    def work(name: str, ends: threading.Event) -> None:
        ends.wait(HANG_SECONDS)
        went_on.set()

    with pytest.raises(StopIteration):
        children.in_threads(lambda: next(names), work, threading.Event())
    assert went_on.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "a"]
