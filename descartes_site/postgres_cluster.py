"""A PostgreSQL cluster in a directory of its own, reached by a socket there alone, and gone afterwards.

As root it runs as `postgres`: PostgreSQL refuses to run as root. Nothing in it outlives a power cut, so it is fast.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

DASHBOARD: Final = "dashboard"
STORE: Final = "descartes"
# What the server says of itself; a socket's path must be short, which TMPDIR may not be.
_PLACE: Final = Path("/tmp")  # noqa: S108
_DEBIAN: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Cluster:
    """A cluster with one database for the dashboard and one for the store."""

    binaries: Path
    home: Path

    @property
    def urls(self) -> dict[str, str]:
        """The variables that name its databases."""
        return {"DATABASE_URL": self.url(DASHBOARD), "STORE_URL": self.url(STORE)}

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgres://postgres@{quote(str(self.home), safe='')}/{database}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return (self.home / "data" / "postmaster.pid").exists()

    def make(self) -> None:
        """Make its files."""
        self.run("initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self, *settings: str) -> None:
        """Start it, and return once it answers; each of the settings is `name=value`."""
        chosen = ("listen_addresses=", "fsync=off", "max_connections=60", *settings)
        options = " ".join((f"-k {self.home}", *(f"-c {setting}" for setting in chosen)))
        self.run("pg_ctl", "-D", self.home / "data", "-o", options, "-w", "-l", self.home / "log", "start")

    def stop(self) -> None:
        """End it as a crash does."""
        self.run("pg_ctl", "-D", self.home / "data", "-m", "immediate", "-w", "stop")

    def create_databases(self) -> None:
        """Create both databases, without any table."""
        for name in (DASHBOARD, STORE):
            self.run("createdb", "-h", self.home, "-U", "postgres", name)

    def execute(self, database: str, sql: str) -> str:
        """Run a statement as the superuser, and return what psql prints of its rows."""
        place = ("-h", self.home, "-U", "postgres", "-d", database)
        return self.run("psql", *place, "-v", "ON_ERROR_STOP=1", "-qAtc", sql).strip()

    def run(self, program: str, *arguments: object) -> str:
        """Run one of PostgreSQL's programs, and return what it printed. Raises CalledProcessError."""
        words = [str(word) for word in (self.binaries / program, *arguments)]
        if os.getuid() == 0:
            words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
        # Into a file: the server that pg_ctl starts keeps a pipe open.
        with tempfile.TemporaryFile() as printed:
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=printed, cwd=_PLACE)  # noqa: S603
            printed.seek(0)
            return printed.read().decode()


def binaries() -> Path | None:
    """Return where the newest installed PostgreSQL has its programs, None without one."""
    debian = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: (len(path.parts[-3]), path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def directory() -> Iterator[Path]:
    """Yield a new directory that the server's user alone may enter; it is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="statestore-pg-", dir=_PLACE))
    try:
        if os.getuid() == 0:
            shutil.chown(home, "postgres")
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def throw_away(programs: Path) -> Iterator[Cluster]:
    """Yield a cluster that runs, without any database of ours; it is gone afterwards."""
    with directory() as home:
        cluster = Cluster(programs, home)
        cluster.make()
        try:
            cluster.start()
            yield cluster
        finally:
            if cluster.is_running:
                cluster.stop()
