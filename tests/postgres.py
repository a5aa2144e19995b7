"""Run a command against a PostgreSQL cluster made for it: `python -m tests.postgres pytest`.

The cluster listens on a socket in its own directory only, and is gone afterwards. As root it runs as `postgres`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.commands import manage


def main() -> int:
    """Start a cluster, run the command with both databases on it, stop it, and return the command's status."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    home = Path(tempfile.mkdtemp(prefix="statestore-pg-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(home, "postgres")
    try:
        _run(binaries / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=60"
        _run(binaries / "pg_ctl", "-D", home / "data", "-o", options, "-w", "-l", home / "log", "start")
        try:
            for name in ("dashboard", "descartes"):
                _run(binaries / "createdb", "-h", home, "-U", "postgres", name)
            socket = str(home).replace("/", "%2F")
            urls = {
                "DATABASE_URL": f"postgres://postgres@{socket}/dashboard",
                "STORE_URL": f"postgres://postgres@{socket}/descartes",
            }
            environment = {**os.environ, **urls}
            # Each process of the tests copies these two as templates, instead of migrating anew.
            manage(urls, ["migrate"], ["migrate", "--database", "store"])
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
        finally:
            _run(binaries / "pg_ctl", "-D", home / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    if os.getuid() == 0:
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")


if __name__ == "__main__":
    sys.exit(main())
