"""A PostgreSQL server that ends and comes back: every address says so at once, and works again at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import postgres
from tests.faults.scale import tell
from tests.faults.server import Server, Visitor, serving
from tests.faults.sites import MAKE_PERSON, Site
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(postgres.binaries() is None, reason="NOT TESTED: PostgreSQL IS NOT INSTALLED"),
]

PAGES = ("/", "/agents/", "/events/", "/restores/", "/audit/", "/login/", "/api/v1/agents", "/admin/")


@dataclass(frozen=True)
class PostgresSite(Site):
    """An installation on a cluster."""

    urls: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **dict(self.urls)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def site(cluster: postgres.Cluster, tmp_path_factory: pytest.TempPathFactory) -> PostgresSite:
    home = tmp_path_factory.mktemp("postgres")
    site = PostgresSite(home / "store.db", home / "dashboard.db", urls=tuple(cluster.urls.items()))
    site.manage("shell", "-v", "0", "-c", MAKE_PERSON)
    return site


def dishonest(visitor: Visitor, server: Server) -> list[str]:
    """Return the answers that do not say in words, soon, that the database is away; ask all addresses."""
    wrong = []
    for path in PAGES:
        with Visitor(server.port) as prober:
            alive = prober.get("/healthz")
            wrong += [] if alive.status == 200 else [str(alive)]
        answer = visitor.get(path)
        says_so = "cannot be reached" in answer.text or "cannot be read" in answer.text or path == "/login/"
        if answer.status not in {200, 302, 503} or (answer.status == 503 and not says_so):
            wrong.append(str(answer))
        if path in {"/", "/agents/"} and "own database cannot be reached" not in answer.text:
            wrong.append(f"names another database: {answer}")
    return wrong


def test_a_server_that_ends_and_comes_back(cluster: postgres.Cluster, site: PostgresSite):
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        sound = [visitor.get(path).status for path in PAGES]
        # The login page leads on who is signed in.
        assert sound == [302 if path == "/login/" else 200 for path in PAGES]

        cluster.stop()
        wrong = dishonest(visitor, server)
        refused = [answer for answer in visitor.answers if answer.status == 503]
        ready = visitor.get("/readyz")
        cluster.start()
        try:
            # The breaker lets one attempt through after its time; there is no backlog of attempts to wait for.
            attempts = wait_for(lambda: visitor.get("/").status == 200 and len(visitor.answers), "the first page")
            again = [visitor.get(path).status for path in PAGES]
            is_ready = wait_for(lambda: visitor.get("/readyz").status == 200, "readiness")
        finally:
            tell(
                "postgres gone", requests=len(visitor.answers), failures=len(wrong), canary=f"{len(refused)} refused",
            )  # fmt: skip
        assert not wrong, wrong
        assert len(refused) >= len(PAGES) - 2
        assert ready.status == 503
        assert again == sound
        assert attempts
        assert is_ready


def test_a_server_that_takes_no_writes_is_not_told_of_files(cluster: postgres.Cluster, site: PostgresSite):
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        for database in ("dashboard", "descartes"):
            cluster.execute("postgres", f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        cluster.stop()
        cluster.start()
        try:
            wait_for(lambda: visitor.get("/").status == 200, "a page that reads")
            answer = visitor.post("/search/views/", name="x", q="error")
        finally:
            for database in ("dashboard", "descartes"):
                cluster.execute("postgres", f"ALTER DATABASE {database} RESET default_transaction_read_only")
        assert answer.status == 503
        assert "takes no writes" in answer.text
        assert "file" not in answer.text.split("takes no writes")[0].split("read-only")[-1]
