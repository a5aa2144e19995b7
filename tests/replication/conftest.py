"""Two PostgreSQL servers of the tests' own, the second of which replays what the first one writes."""

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from descartes_site import postgres_cluster
from descartes_site.postgres_cluster import STORE, Cluster
from tests import postgres
from tests.commands import manage
from tests.faults.server import HOST, Server
from tests.faults.sites import MAKE_PERSON, Site
from tests.waiting import HANG_SECONDS, wait_for

_JSON = {"json", "problem+json"}
REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0'"
WRITTEN = "SELECT pg_current_wal_flush_lsn() - '0/0'"


@dataclass(frozen=True)
class Pair:
    """A primary and its replica."""

    primary: Cluster
    standby: Cluster

    @property
    def url(self) -> str:
        """The URL of the store on both."""
        return f"{self.primary.url(STORE)}?replica={quote(str(self.standby.home), safe='')}"

    def make_standby(self) -> None:
        """Make the replica, or make it anew, as a copy of the primary that follows it."""
        if self.standby.is_running:
            self.standby.stop()
        data = self.standby.home / "data"
        shutil.rmtree(data, ignore_errors=True)
        copy = ("-D", data, "-R", "-X", "stream", "--no-sync", "-c", "fast")
        self.standby.run("pg_basebackup", "-h", self.primary.home, "-U", "postgres", *copy)
        self.standby.start()

    def catch_up(self) -> None:
        """Return once the replica has replayed all that the primary has written."""
        written = int(self.primary.execute(STORE, WRITTEN))
        wait_for(lambda: int(self.standby.execute(STORE, REPLAYED)) >= written, "the replica")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the replica stay where it is for a block; it is caught up before and afterwards."""
        self.catch_up()
        self.standby.execute(STORE, "SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.standby.execute(STORE, "SELECT pg_get_wal_replay_pause_state()") == "paused", "the pause")
        try:
            yield
        finally:
            self.standby.execute(STORE, "SELECT pg_wal_replay_resume()")
            self.catch_up()


@dataclass(frozen=True)
class ReplicatedSite(Site):
    """An installation whose store is on a pair of servers; people are in a file."""

    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "STORE_URL": self.url, "REPLICA_MAX_LAG_SECONDS": "3600"}


@dataclass(frozen=True)
class Client:
    """A program with a token."""

    port: int
    token: str
    at: str = ""

    def call(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Return status, content and headers of an answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=HANG_SECONDS)
        headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, f"{self.at}/api/v1{path}", None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        content = json.loads(text or "null") if response.headers.get_content_subtype() in _JSON else text
        connection.close()
        return response.status, content, response.headers

    def sees(self, agent_id: str) -> bool:
        """Whether an agent is there."""
        status, content, _ = self.call("GET", f"/agents/{agent_id}")
        assert status in {200, 404}, content
        return status == 200

    def save(self, agent_id: str) -> None:
        """Save a state of an agent."""
        status, content, _ = self.call("PUT", f"/agents/{agent_id}", {"state": {"step": 1}, "name": agent_id})
        assert status in {200, 201}, content


@contextmanager
def made_pair() -> Iterator[Pair]:
    """Yield a pair with the tables of a store; both are gone afterwards."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("NOT TESTED: PostgreSQL IS NOT INSTALLED")
    with postgres.empty_cluster() as primary, postgres_cluster.directory() as home:
        primary.create_databases()
        pair = Pair(primary, Cluster(programs, home))
        try:
            pair.make_standby()
            yield pair
        finally:
            if pair.standby.is_running:
                pair.standby.stop()


def made_site(pair: Pair, directory: Path) -> ReplicatedSite:
    """Return a site on a pair, with a person."""
    site = ReplicatedSite(directory / "store.db", directory / "dashboard.db", url=pair.url)
    manage(site.environment, ["migrate"], ["migrate", "--database", "store"], ["shell", "-v", "0", "-c", MAKE_PERSON])
    return site


TOKENS = """
from django.contrib.auth.models import User
from statestore.access import tokens
for name in ("writer", "reader"):
    print(tokens.create(User.objects.get(), name, ["read", "write", "restore"])[1])
"""


def made_clients(site: Site, server: Server) -> tuple[Client, Client]:
    """Return two programs: one that writes, and one that only reads."""
    writer, reader = manage(site.environment, ["shell", "-v", "0", "-c", TOKENS]).split()
    return Client(server.port, writer), Client(server.port, reader)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with made_pair() as pair:
        yield pair


@pytest.fixture(scope="module")
def site(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> ReplicatedSite:
    return made_site(pair, tmp_path_factory.mktemp("replicated"))
