"""Installations on disk: an orchestrator's store that was adopted, and the dashboard's own database with people."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import manage
from tests.foreign import orchestrator, population

ROOT = Path(__file__).resolve().parents[2]
JOURNAL_MODES = ("delete", "wal")
NAME, PASSWORD = "ada", "correct horse battery"
# Agents that nobody but the tests touches, each with two snapshots to go back to.
QUIET = tuple(f"quiet-{number}" for number in range(4))
LONG_AGO = 1_795_000_000

MAKE_PERSON = f"""
from django.contrib.auth.models import Group, User
user = User.objects.create_user({NAME!r}, password={PASSWORD!r}, is_staff=True)
user.groups.set(Group.objects.filter(name="administrator"))
assert user.groups.exists()
"""


@dataclass(frozen=True)
class Site:
    """One installation. Its store is opened here by plain sqlite3, as the orchestrator opens it."""

    store: Path
    dashboard: Path
    settings: str = "descartes_site.settings"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process of the dashboard is started with."""
        return {
            **os.environ,
            "STORE_URL": f"sqlite:///{self.store}",
            "DATABASE_URL": f"sqlite:///{self.dashboard}",
            "SEARCH_INDEX": str(self.store.with_name("search.db")),
            "SECRET_KEY": "the same after each restart, so that sessions survive it",
            "DJANGO_SETTINGS_MODULE": self.settings,
        }

    def manage(self, *words: str) -> str:
        """Run a management command and return what it printed."""
        return manage(self.environment, words)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the store."""
        connection = sqlite3.connect(self.store)
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def state(self, agent_id: str) -> str:
        """Return an agent's state as it lies in the file."""
        return str(self.rows("SELECT state_data FROM agent_states WHERE agent_id = ?", agent_id)[0][0])

    def snapshots(self, agent_id: str) -> list[str]:
        """Return the ids of the snapshots that the agent had from the beginning."""
        sql = "SELECT id FROM state_snapshots WHERE agent_id = ? AND created_at = ? ORDER BY rowid"
        return [row[0] for row in self.rows(sql, agent_id, LONG_AGO)]


SiteMaker = Callable[..., Site]


def site_in(directory: Path) -> Site:
    return Site(directory / "store.db", directory / "dashboard.db")


def fill_template(directory: Path, journal_mode: str) -> None:
    """Make a site by the commands that a person would use; others are copied from it."""
    site = site_in(directory)
    orchestrator.create(site.store)
    population.populate(site.store)
    with population.unhurried(site.store) as writer:
        for number, agent_id in enumerate(QUIET):
            states = [f'{{"step": {step}, "agent": {number}, "notes": "{"n" * 3000}"}}' for step in range(3)]
            writer.save_agent(agent_id, states[0], status="idle", at=LONG_AGO)
            for step in (1, 2):
                writer.create_snapshot(agent_id, states[step], description=f"step {step}", at=LONG_AGO)
    wal = ["--wal"] if journal_mode == "wal" else []
    manage(
        site.environment,
        ["migrate"],
        ["adopt", str(site.store), "--yes", "--stopped", "--backup-dir", str(directory / "backups"), *wal],
        ["shell", "-v", "0", "-c", MAKE_PERSON],
    )
    assert site.rows("PRAGMA journal_mode") == [(journal_mode,)]


def copy_of(template: Path, directory: Path) -> Site:
    """Return a fresh installation in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    made, copy = site_in(template), site_in(directory)
    shutil.copy(made.store, copy.store)
    shutil.copy(made.dashboard, copy.dashboard)
    return copy
