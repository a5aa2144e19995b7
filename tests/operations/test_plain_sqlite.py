"""Without the wheel that carries a newer SQLite, Python's own does: Debian 12 has 3.40."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.db import connections

from descartes_site import sqlite_library
from statestore.db.routers import store_alias
from tests.commands import manage
from tests.faults.server import Server, Visitor, restore_id, serving
from tests.faults.sites import QUIET, Site, fill_template, site_in

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

WHICH = "import sqlite3; print(sqlite3.__name__, sqlite3.sqlite_version)"


@dataclass(frozen=True)
class PlainSite(Site):
    """An installation whose processes cannot import the wheel; `blocked` shadows it."""

    blocked: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": self.blocked}


@pytest.fixture(scope="module")
def without_wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Let the processes that are started here find a package in the wheel's place that cannot be imported."""
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "pysqlite3.py").write_text("raise ImportError('blocked')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield str(folder)


@pytest.fixture(scope="module")
def server(without_wheel: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PlainSite, Server]]:
    home = tmp_path_factory.mktemp("site")
    fill_template(home, "wal")
    made = site_in(home)
    site = PlainSite(made.store, made.dashboard, blocked=without_wheel)
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # Nor does it matter where it is started.
    with serving(site, cwd=elsewhere) as running:
        yield site, running


@pytest.mark.slow
def test_both_databases_are_made_from_nothing_by_pythons_own_sqlite(without_wheel: str, tmp_path: Path):
    variables = {**os.environ, "VAR_DIR": str(tmp_path), "STORE_URL": "", "DATABASE_URL": ""}
    said = manage(variables, ["shell", "-v", "0", "-c", WHICH], ["migrate"], ["migrate", "--database", "store"])
    assert said.startswith("sqlite3 "), "the wheel is not blocked"
    assert {"dashboard.db", "descartes.db"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_sign_in_search_and_restore_work_with_pythons_own_sqlite(server: tuple[PlainSite, Server]):
    site, running = server
    agent_id = QUIET[0]
    with Visitor(running.port) as visitor:
        visitor.sign_in()
        ((event_type,),) = site.rows("SELECT event_type FROM events ORDER BY rowid LIMIT 1")
        found = visitor.get(f"/events/?{urlencode({'q': event_type})}")
        assert found.status == 200, found
        assert 'class="empty"' not in found.text
        answer = visitor.restore(agent_id, site.snapshots(agent_id)[0])
        assert restore_id(answer), answer
    assert '"step": 1' in site.state(agent_id)
    site.manage("doctor", "--quick")
    assert "Traceback" not in running.log()


def test_an_old_library_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch):
    assert sqlite_library.fault() == ""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "3.35 or later is needed" in sqlite_library.fault()


def test_a_library_without_trigrams_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch):
    class Connection:
        def execute(self, sql: str) -> None:
            raise sqlite3.OperationalError("no such module: fts5")

        def close(self) -> None: ...

    monkeypatch.setattr(sqlite3, "connect", lambda name: Connection())
    assert "has no FTS5 with trigrams (no such module: fts5)" in sqlite_library.fault()


@pytest.mark.django_db
def test_the_store_is_distrusted_and_our_own_database_is_not():
    """SQLite 3.40 lets the CHECKs of a distrusted schema call no json_valid(); ours do, the orchestrator's do not."""
    trusted = [
        connections[alias].cursor().execute("PRAGMA trusted_schema").fetchone()[0]
        for alias in (store_alias(), "default")
    ]
    assert trusted == [0, 1]
