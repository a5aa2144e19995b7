"""`make run-postgres`, from its first line to the last file that it leaves behind: none."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.commands import ROOT
from tests.faults.server import CONNECTION_LOST, Visitor, free_port
from tests.waiting import HANG_SECONDS, wait_for

needs_postgres = pytest.mark.skipif(postgres.binaries() is None, reason="NOT TESTED: PostgreSQL IS NOT INSTALLED")
PROGRAM = "descartes_site.run_postgres"


class Running:
    """The program, what it has printed, and where its cluster is."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log
        words = [sys.executable, "-m", PROGRAM, "--port", str(port)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)

    @property
    def printed(self) -> str:
        return self._log.read_text()

    @property
    def home(self) -> Path:
        """The cluster's directory, which is printed first of all."""
        wait_for(lambda: " …" in self.printed, "the first line", is_alive=self.is_alive)
        found = re.search(r"cluster in (\S+) …", self.printed)
        assert found, self.printed
        return Path(found[1])

    def answers(self) -> bool:
        try:
            with Visitor(self.port) as visitor:
                return visitor.get("/readyz").status == 200
        except CONNECTION_LOST:
            return False

    def is_alive(self) -> bool:
        return self.process.poll() is None


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The program, which has begun; it is ended as by Ctrl-C if the test did not."""
    program = Running(free_port(), tmp_path / "log")
    try:
        yield program
    finally:
        if program.is_alive():
            program.process.send_signal(signal.SIGINT)
            program.process.wait(HANG_SECONDS)


def programs_of(home: Path) -> list[str]:
    """Return the command lines of the processes to which a directory was named, by a word or a variable."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line, variables = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        if str(home).encode() in line + variables:
            found.append(line.decode().replace("\0", " "))
    return found


@needs_postgres
@pytest.mark.slow
def test_the_demo_is_served_on_postgresql_and_nothing_of_it_is_left_behind(running: Running):
    wait_for(running.answers, "a dashboard that is ready", is_alive=running.is_alive)
    name, password = re.search(r"Sign in as (\S+) with the password (\S+)", running.printed).groups()  # type: ignore[union-attr]
    home = running.home
    with Visitor(running.port) as visitor:
        visitor.get("/login/")
        signed_in = visitor.post("/login/", username=name, password=password)
        agents = visitor.get("/agents/")
    assert signed_in.status == 302, signed_in
    assert "Coder 2" in agents.text, "the demo's data is not there"
    assert programs_of(home), "the cluster is not in the directory that was named"

    running.process.send_signal(signal.SIGTERM)

    assert running.process.wait(HANG_SECONDS) == 0, running.printed
    assert not home.exists(), "the cluster's directory is left behind"
    assert not programs_of(home), "a process of the cluster is left behind"
    assert not running.answers(), "the dashboard still answers"
    assert "The cluster is stopped and removed." in running.printed


@needs_postgres
def test_ctrl_c_while_the_demo_is_loaded_leaves_nothing_behind(running: Running):
    home = running.home
    assert programs_of(home), "the cluster is not in the directory that was named"

    running.process.send_signal(signal.SIGINT)

    assert running.process.wait(HANG_SECONDS) == 0, running.printed
    assert not home.exists(), "the cluster's directory is left behind"
    assert not programs_of(home), "a process is left behind"


def test_what_is_missing_is_said_with_how_to_install_it(tmp_path: Path):
    without = f"""
import sys
from pathlib import Path
from descartes_site import postgres_cluster, run_postgres
postgres_cluster._DEBIAN = Path({str(tmp_path)!r})
sys.argv[1:] = []
run_postgres.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", without], cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "apt-get install postgresql" in done.stderr


def test_make_runs_the_program_that_is_tested_here():
    assert f"-m {PROGRAM} --host $(HOST) --port $(PORT)" in (ROOT / "Makefile").read_text()
