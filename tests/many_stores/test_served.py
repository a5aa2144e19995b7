"""A real server: a store that is added on the page is served by all of its processes, and nothing is started anew."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.commands import manage
from tests.conftest import migrate_into
from tests.faults.server import Server, Visitor, serving
from tests.faults.sites import MAKE_PERSON, Site
from tests.stores import make_store
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite, pytest.mark.slow]


@pytest.fixture
def environment(templates: Templates, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a dashboard of several stores, of which it has none yet."""
    home = tmp_path.resolve() / "var"
    home.mkdir()
    shutil.copy(templates.get("migrated", migrate_into) / "default.db", home / "dashboard.db")
    (tmp_path / "srv").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if name not in {"STORE_URL", "STORES", "DATABASE_URL"}},
        "STORE_DIRS": str(tmp_path.resolve() / "srv"),
        "VAR_DIR": str(home),
        "SECRET_KEY": "the same after each restart, so that sessions survive it",
    }


def worker_of(visitor: Visitor, server: Server) -> int:
    """Return the process that holds the other end of a visitor's connection."""
    ends = f"{server.port:04X}", f"{visitor.connection.sock.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [row[9] for row in rows if (row[1][-4:], row[2][-4:]) == ends]
    links = [(worker, link) for worker in server.workers() for link in Path(f"/proc/{worker}/fd").iterdir()]
    return next(worker for worker, link in links if link.is_symlink() and target(link) == f"socket:[{inode}]")


def target(link: Path) -> str:
    """Return where a link leads, "" if it is gone."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def one_of_each(server: Server, ada: Visitor) -> dict[int, Visitor]:
    """Return a connection to each of the server's processes."""
    found: dict[int, Visitor] = {}

    def connect() -> bool:
        visitor = ada.another()
        visitor.get("/healthz")
        if found.setdefault(worker_of(visitor, server), visitor) is not visitor:
            visitor.connection.close()
        return len(found) == 2

    wait_for(connect, "a connection to each process")
    return found


def statuses(server: Server, visitors: dict[int, Visitor]) -> set[int]:
    """Return what the processes answer, each by itself."""
    found = set()
    for worker, visitor in visitors.items():
        found.add(visitor.get("/stores/green/agents/").status)
        assert worker_of(visitor, server) == worker, "another process answered"
    return found


def test_all_processes_serve_a_store_from_when_it_is_added(environment: dict[str, str], tmp_path: Path):
    file = make_store(tmp_path / "srv" / "green.db")
    manage(environment, ("adopt", str(file), "--yes"), ("shell", "-c", MAKE_PERSON))
    home = Path(environment["VAR_DIR"])
    site = Site(file, home / "dashboard.db")
    with serving(site, "--workers", "2", environment=environment) as server, Visitor(server.port) as ada:
        ada.sign_in()
        visitors = one_of_each(server, ada)
        assert statuses(server, visitors) == {404}
        path = json.dumps(str(file.resolve()))
        assert ada.post("/add-store/", name="green", path=path).headers["location"] == "/"
        assert statuses(server, visitors) == {200}, "a process does not serve it"
        assert server.workers() == set(visitors), "a process was started anew"
        wait_for(lambda: list(home.glob("search-*.db")), "its search index")
        wait_for(lambda: list(home.glob("housekeeping-*.lock")), "its housekeeping")
        assert "agent" in manage(environment, ("export", "-", "--store", "green")), "commands do not know it"
        assert ada.post("/remove-store/green/").status == 302
        assert statuses(server, visitors) == {404}
        assert file.exists()
        for visitor in visitors.values():
            visitor.connection.close()
