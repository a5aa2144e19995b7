"""An installation in a directory of its own, and its server on a free port of this machine."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from tests.commands import manage
from tests.foreign.orchestrator import Orchestrator
from tests.waiting import HANG_SECONDS, wait_for

ROOT = Path(__file__).resolve().parents[2]
# Long before a password is asked for again.
PROVED_SECONDS = 300
HOST = "127.0.0.1"


@dataclass
class Site:
    """One store with its dashboard. `sessions` holds the cookie of somebody of each role."""

    directory: Path
    url: str = ""
    sessions: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.directory / "descartes.db"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process of the dashboard is started with."""
        return {
            **os.environ,
            "STORE_URL": f"sqlite:///{self.store}",
            "DATABASE_URL": f"sqlite:///{self.directory / 'dashboard.db'}",
            "SEARCH_INDEX": str(self.directory / "search.db"),
            "SECRET_KEY": "known, since nothing here is worth a secret",
            "DJANGO_SETTINGS_MODULE": "descartes_site.settings",
        }

    def orchestrator(self, prefix: str | None = None) -> Orchestrator:
        """Return the stand-in's hands on the store."""
        return Orchestrator(self.store, prefix=prefix)

    def run(self, *command: str) -> str:
        """Run Python with the site's variables and return what it printed."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def adopt(self) -> None:
        """Move into the store as a person does, and let one person of each role be signed in."""
        backups = str(self.directory / "backups")
        manage(self.environment, ["migrate"], ["adopt", str(self.store), "--yes", "--stopped", "--backup-dir", backups])
        self.admit()

    def admit(self) -> None:
        """Make a person of each role."""
        (self.directory / "sessions.json").write_text(self.run("-m", "tests.browser.people"))
        self._read_sessions()

    def renew_proofs(self) -> None:
        """Let those who gave their passwords have given them lately, however long the suite has run."""
        kept = self.directory / "sessions.json"
        if time.time() - kept.stat().st_mtime > PROVED_SECONDS:
            self.run("-m", "tests.browser.people", "prove")
            kept.touch()

    def _read_sessions(self) -> None:
        self.sessions = json.loads((self.directory / "sessions.json").read_text())

    @classmethod
    def copy(cls, template: Path, directory: Path) -> "Site":
        """Return an installation like the one in another directory, which no server may be using."""
        site = cls(Path(shutil.copytree(template, directory, dirs_exist_ok=True)))
        site._read_sessions()
        return site

    @contextmanager
    def serving(self) -> Iterator["Site"]:
        """Yield the site while its server answers."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = free.getsockname()[1]
        self.url = f"http://{HOST}:{port}"
        with (self.directory / "server.log").open("w") as log:
            command = [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)]
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
            try:
                self._await_answer(process)
                yield self
            finally:
                process.terminate()
                process.wait(timeout=HANG_SECONDS)

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        def answers() -> bool:
            try:
                with urlopen(f"{self.url}/healthz", timeout=HANG_SECONDS):
                    return True
            except OSError:
                return False

        try:
            wait_for(answers, "the server's first answer", is_alive=lambda: process.poll() is None)
        except AssertionError as error:
            raise RuntimeError(f"{error}: {(self.directory / 'server.log').read_text()}") from None
