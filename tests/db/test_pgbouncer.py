"""PgBouncer in transaction mode between the dashboard and its databases: each transaction has another session."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from descartes_site import database_urls, postgres_cluster
from tests import postgres
from tests.commands import manage
from tests.faults.server import Server, Visitor, serving
from tests.faults.sites import MAKE_PERSON, Site
from tests.replication.conftest import Client, made_clients
from tests.waiting import HANG_SECONDS, wait_for

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    postgres.binaries() is None or PROGRAM is None, reason="NOT TESTED: PostgreSQL OR PGBOUNCER IS NOT INSTALLED"
)
PORT = 6432
SESSIONS = 3
# Round robin: two transactions that follow each other never have the same session.
CONFIGURATION = """
[databases]
dashboard = host={server}
descartes = host={server} connect_query='SET statement_timeout TO 30000; SET lock_timeout TO 5000'
team_a = host={server} dbname=shared connect_query='SET search_path TO team_a, public'
team_b = host={server} dbname=shared connect_query='SET search_path TO team_b, public'
postgres = host={server}
[pgbouncer]
pool_mode = transaction
default_pool_size = {sessions}
server_round_robin = 1
listen_port = {port}
unix_socket_dir = {home}
auth_type = trust
auth_file = {home}/users
logfile = {home}/log
"""
PAGES = (
    "/", "/agents/", "/agents/known/", "/agents/known/timeline/", "/changes/", "/events/", "/events/?q=needle",
    "/events/?q=ne", "/sessions/", "/tasks/", "/restores/", "/snapshots/", "/audit/", "/upkeep/", "/growth/", "/trash/",
    "/find/?q=known", "/search/live/", "/agents/known/restore/?moment=now", "/search/export/?q=needle",
    "/export/audit/", "/admin/", "/tokens/",
)  # fmt: skip
CALLS = (
    "/agents",
    "/agents/known",
    "/events/search?q=needle",
    "/events/search/histogram?q=needle",
    "/export",
    "/audit",
)
SETTINGS = ("statement_timeout", "lock_timeout", "search_path", "default_transaction_read_only")
LEFT = """
SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
     + (SELECT count(*) FROM pg_cursors) + (SELECT count(*) FROM pg_prepared_statements)
"""


@dataclass(frozen=True)
class Bouncer:
    """A pooler in front of a cluster."""

    cluster: postgres.Cluster
    home: Path

    def url(self, database: str, options: str = "?pooler=transaction") -> str:
        return f"postgres://postgres@{quote(str(self.home), safe='')}:{PORT}/{database}{options}"

    def connected(self, database: str) -> "psycopg.Connection[tuple[str]]":
        """Return a connection of another client."""
        return psycopg.connect(
            host=str(self.home), port=PORT, user="postgres", dbname=database, autocommit=True, prepare_threshold=None
        )

    def values(self, database: str, sql: str) -> set[str]:
        """Return what another client gets for a query in all sessions."""
        with self.connected(database) as connection:
            return {str(connection.execute(sql).fetchone()[0]) for _ in range(3 * SESSIONS)}  # type: ignore[index]


@dataclass(frozen=True)
class PooledSite(Site):
    """An installation whose databases are behind a pooler."""

    urls: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **dict(self.urls), "VAR_DIR": str(self.dashboard.parent)}


@contextmanager
def running(cluster: postgres.Cluster) -> Iterator[Bouncer]:
    with postgres_cluster.directory() as home:
        (home / "users").write_text('"postgres" ""\n')
        configuration = CONFIGURATION.format(server=cluster.home, home=home, port=PORT, sessions=SESSIONS)
        (home / "pgbouncer.ini").write_text(configuration)
        words = [str(PROGRAM), "-q", str(home / "pgbouncer.ini")]
        if os.getuid() == 0:
            words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
        process = subprocess.Popen(words, cwd="/tmp")
        bouncer = Bouncer(cluster, home)
        try:
            wait_for((home / f".s.PGSQL.{PORT}").exists, "the pooler", is_alive=lambda: process.poll() is None)
            yield bouncer
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)


@pytest.fixture(scope="module")
def bouncer() -> Iterator[Bouncer]:
    with postgres.empty_cluster() as cluster:
        cluster.create_databases()
        with running(cluster) as bouncer:
            yield bouncer


@pytest.fixture(scope="module")
def site(bouncer: Bouncer, tmp_path_factory: pytest.TempPathFactory) -> PooledSite:
    home = tmp_path_factory.mktemp("pooled")
    urls = (("DATABASE_URL", bouncer.url("dashboard")), ("STORE_URL", bouncer.url("descartes")))
    site = PooledSite(home / "store.db", home / "dashboard.db", urls=urls)
    manage(site.environment, ["migrate"], ["migrate", "--database", "store"], ["shell", "-v", "0", "-c", MAKE_PERSON])
    return site


@pytest.fixture(scope="module")
def server(site: PooledSite) -> Iterator[Server]:
    with serving(site) as server:
        yield server


@pytest.fixture(scope="module")
def writer(site: PooledSite, server: Server) -> Client:
    return made_clients(site, server)[0]


def use(writer: Client) -> None:
    """Save, take back, search and import, as programs do; each answer must be a good one."""
    event = {"event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "known", "content": "a needle"}
    for step in range(3):
        good(writer.call("PUT", "/agents/known", {"state": {"step": step}, "name": "known"}))
    taken = good(writer.call("POST", "/agents/known/snapshots", {"description": "before"}))
    good(writer.call("PUT", "/agents/known", {"state": {"step": 9}, "name": "known"}))
    key = "the same request twice"[:16].replace(" ", "-")
    for _ in range(2):
        good(writer.call("POST", "/events", {**event}, **{"Idempotency-Key": key}))
    good(writer.call("POST", "/events/batch", {"events": [event] * 50}))
    restored = good(writer.call("POST", f"/snapshots/{taken['id']}/restore", {"reason": "back"}))
    assert good(writer.call("GET", "/agents/known"))["state"] == {"step": 2}
    good(writer.call("POST", f"/restores/{restored['id']}/undo", {}))
    assert good(writer.call("GET", "/agents/known"))["state"] == {"step": 9}
    assert str(good(writer.call("GET", "/events/search?q=needle"))).count("a needle") >= 51


def good(answer: tuple[int, object, object]) -> dict[str, object]:
    status, content, _ = answer
    assert status < 300, content
    assert isinstance(content, dict)
    return content


@needs_pgbouncer
@pytest.mark.slow
@pytest.mark.faults
def test_all_works_through_a_pooler_that_gives_each_transaction_another_session(
    site: PooledSite, server: Server, writer: Client, tmp_path: Path
):
    use(writer)
    with Visitor(server.port) as person:
        person.sign_in()
        assert {path: person.get(path).status for path in PAGES} == dict.fromkeys(PAGES, 200)
        assert person.post("/agents/known/status/", status="paused", etag="").status in {200, 302}
    assert {path: writer.call("GET", path)[0] for path in CALLS} == dict.fromkeys(CALLS, 200)
    elsewhere = {**site.environment, "VAR_DIR": str(tmp_path)}  # Here the server's own keeps it.
    assert "The house is kept." in manage(elsewhere, ["housekeeping", "--once"])
    site.manage("verify")
    exported = site.dashboard.with_name("all.ndjson")
    site.manage("export", str(exported))
    site.manage("import", str(exported), "--yes")
    assert "Traceback" not in server.log()


@needs_pgbouncer
@pytest.mark.slow
@pytest.mark.faults
def test_nothing_is_left_in_a_session_that_another_client_gets(bouncer: Bouncer, writer: Client):
    writer.call("PUT", "/agents/left", {"state": {}, "name": "left"})
    writer.call("GET", "/events/search?q=needle")
    found = {name: bouncer.values("descartes", f"SHOW {name}") for name in SETTINGS}
    assert found == {
        "statement_timeout": {"30s"}, "lock_timeout": {"5s"}, "search_path": {'"$user", public'},
        "default_transaction_read_only": {"off"},
    }, "what the pooler's own connect_query says, and nothing else"  # fmt: skip
    assert bouncer.values("descartes", LEFT) == {"0"}


@needs_pgbouncer
@pytest.mark.slow
@pytest.mark.faults
def test_two_stores_in_schemas_that_the_pooler_chooses_are_not_mixed(bouncer: Bouncer, tmp_path: Path):
    bouncer.cluster.execute("postgres", "CREATE DATABASE shared")
    bouncer.cluster.execute("shared", "CREATE EXTENSION pg_trgm; CREATE SCHEMA team_a; CREATE SCHEMA team_b")
    stores = ",".join(f"{name}={bouncer.url(f'team_{name}')}" for name in "ab")
    variables = {"STORES": stores, "STORE_URL": "", "DATABASE_URL": f"sqlite:///{tmp_path}/own.db"}
    variables["VAR_DIR"] = str(tmp_path)
    save = "from statestore.store import StateStore; StateStore().save_agent_state('{name}', '{{}}')"
    show = "from statestore import models; print([agent.agent_id for agent in models.AgentState.objects.all()])"
    chosen = "from statestore.db.routers import chosen\nwith chosen('store-{name}'):\n    "
    printed = manage(
        variables, ["migrate"], *(["migrate", "--store", name] for name in "ab"),
        *(["shell", "-v", "0", "-c", (chosen + save).format(name=name)] for name in "ab"),
        *(["shell", "-v", "0", "-c", chosen.format(name=name) + show.replace("; ", "\n    ")] for name in "ab"),
    )  # fmt: skip
    assert printed.splitlines()[-2:] == ["['a']", "['b']"]
    count = "SELECT string_agg(schemaname, ',' ORDER BY schemaname) FROM pg_tables WHERE tablename = 'agent_states'"
    assert bouncer.cluster.execute("shared", count) == "team_a,team_b"


@needs_pgbouncer
@pytest.mark.slow
def test_a_backup_is_refused_with_what_to_do(bouncer: Bouncer, site: PooledSite):
    with pytest.raises(AssertionError, match="pg_dump works through no pooler in transaction mode"):
        site.manage("backup")


@pytest.mark.parametrize("options", ["search_path=agents", "options=-c%20search_path%3Dagents"])
def test_a_search_path_behind_a_pooler_is_refused_with_what_to_write(options: str):
    with pytest.raises(ValueError, match="connect_query='SET search_path TO agents'"):
        database_urls.parsed(f"postgres://pooler:6432/agents?pooler=transaction&{options}")


def test_another_mode_needs_no_option():
    with pytest.raises(ValueError, match="other modes need nothing"):
        database_urls.parsed("postgres://pooler:6432/agents?pooler=session")
