"""`make run-postgres`: the dashboard with the demo's data on a PostgreSQL cluster of its own, both gone afterwards."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from descartes_site import postgres_cluster
from descartes_site.database_urls import sqlite_url
from descartes_site.locations import PACKAGE
from descartes_site.postgres_cluster import Cluster

STOP_SECONDS: Final = 15
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MISSING: Final = (
    "PostgreSQL's programs (initdb, pg_ctl) are missing. On Debian: apt-get install postgresql. Elsewhere, put their"
    " directory on PATH."
)
# A store and files of your own stay out of this.
_UNSET: Final = dict.fromkeys(
    ("STORE_URL", "DATABASE_URL", "STORES", "SEARCH_INDEX", "BACKUP_DIR", "BACKUP_COPY_TO"), ""
)


def main() -> int:
    """Serve until a signal ends it; return the exit status."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="8000")
    options = parser.parse_args()
    programs = postgres_cluster.binaries()
    if programs is None:
        sys.exit(_MISSING)
    try:
        with _ended_by_signals(), postgres_cluster.throw_away(programs) as cluster:
            return _serve(cluster, options.host, options.port)
    except KeyboardInterrupt:
        _say("The cluster is stopped and removed.")
        return 0
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} ended with status {error.returncode}. The cluster is stopped and removed.")


def _serve(cluster: Cluster, host: str, port: str) -> int:
    _say(f"Loading the demo's data into a PostgreSQL cluster in {cluster.home} …")
    variables = {**os.environ, **_UNSET, "VAR_DIR": str(cluster.home / "var")}
    _load_demo(cluster, variables)
    _say(f"To look into the store: psql {cluster.urls['STORE_URL']}")
    _say("Ctrl-C ends the dashboard and removes the cluster with all that is in it.")
    # A group of its own, in which the processes that it starts are too: none of them may outlive the directory.
    server = subprocess.Popen(  # noqa: S603
        _command("serve", "--host", host, "--port", port), env={**variables, **cluster.urls}, stdin=subprocess.DEVNULL,
        process_group=0,
    )  # fmt: skip
    try:
        return server.wait()
    finally:
        server.terminate()
        _end_group(server)


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    """Wait for a process and all that it started, and end by force what takes too long."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            leader.poll()
            os.killpg(leader.pid, 0)
            time.sleep(0.05)
        os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()


def _load_demo(cluster: Cluster, variables: Mapping[str, str]) -> None:
    """Make the demo's store as `make run` does, in a file, and move it into PostgreSQL as anyone would."""
    cluster.create_databases()
    variables = {**variables, "DATABASE_URL": cluster.urls["DATABASE_URL"]}
    subprocess.run(_command("demo"), env=variables, check=True)  # noqa: S603
    demo = sqlite_url(str(Path(variables["VAR_DIR"]) / "descartes.db"))
    words = _command("transfer", demo, cluster.urls["STORE_URL"])
    subprocess.run(words, env=variables, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", PACKAGE.name, *words]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal end the block as Ctrl-C does; while it is cleaned up, a second one changes nothing."""

    def end(*_: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
