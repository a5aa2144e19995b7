"""Run a command against a PostgreSQL cluster made for it: `python -m tests.postgres pytest`.

The cluster listens on a socket in its own directory only, and is gone afterwards. As root it runs as `postgres`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.commands import manage


@dataclass(frozen=True)
class Cluster:
    """A cluster with one database for the dashboard and one for the store."""

    binaries: Path
    home: Path

    @property
    def urls(self) -> dict[str, str]:
        """The variables that name its databases."""
        socket = str(self.home).replace("/", "%2F")
        return {
            "DATABASE_URL": f"postgres://postgres@{socket}/dashboard",
            "STORE_URL": f"postgres://postgres@{socket}/descartes",
        }

    def start(self) -> None:
        """Start it, and return once it answers."""
        options = f"-k {self.home} -c listen_addresses='' -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "-D", self.home / "data", "-o", options, "-w", "-l", self.home / "log", "start")

    def stop(self) -> None:
        """End it as a crash does."""
        self._run("pg_ctl", "-D", self.home / "data", "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        """Make its files."""
        self._run("initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def make_databases(self) -> None:
        """Make both databases with their tables."""
        for name in ("dashboard", "descartes"):
            self._run("createdb", "-h", self.home, "-U", "postgres", name)
        manage(self.urls, ["migrate"], ["migrate", "--database", "store"])

    def execute(self, database: str, sql: str) -> None:
        """Run a statement as the superuser."""
        self._run("psql", "-h", self.home, "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-c", sql)

    def _run(self, program: str, *arguments: object) -> None:
        words = [str(word) for word in (self.binaries / program, *arguments)]
        if os.getuid() == 0:
            words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")


def binaries() -> Path | None:
    """Return where the newest installed PostgreSQL has its programs, None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else None


@contextmanager
def empty_cluster() -> Iterator[Cluster]:
    """Yield a cluster of its own that runs, without any database of ours; it is gone afterwards."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed."
    home = Path(tempfile.mkdtemp(prefix="statestore-pg-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(home, "postgres")
    cluster = Cluster(programs, home)
    try:
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Yield a cluster of its own that runs and has both databases; it is gone afterwards."""
    with empty_cluster() as cluster:
        cluster.make_databases()
        yield cluster


def main() -> int:
    """Run the command with both databases on a cluster of its own, and return the command's status."""
    # Each process of the tests copies these two as templates, instead of migrating anew.
    with running_cluster() as cluster:
        return subprocess.run(sys.argv[1:], env={**os.environ, **cluster.urls}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
