"""On PostgreSQL the live tail waits for word of new events: they come at once, and it asks seldom without them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from descartes_site.postgres_cluster import STORE, Cluster
from tests import postgres
from tests.commands import manage
from tests.db.test_pgbouncer import needs_pgbouncer, running
from tests.faults.server import Answer, Server, Visitor, serving
from tests.faults.sites import MAKE_PERSON, Site
from tests.replication.conftest import Client, made_clients
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.slow]

_INSERT = (
    "INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content, created_at)"
    " VALUES ('{0}', 'note', 1790000000, 's', 'System', 'x', 'by itself', 1790000000)"
)


@dataclass(frozen=True)
class ServedSite(Site):
    """A site whose store is on PostgreSQL; people are in a file."""

    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "STORE_URL": self.url}


@dataclass
class Tail:
    """A page that follows the events, as its script does."""

    visitor: Visitor
    cursor: str = ""
    heard: str = ""

    def ask(self, *, waits: bool = True) -> Answer:
        """Ask once for what is new."""
        parameters = {"q": "", "cursor": self.cursor} | ({"heard": self.heard} if waits and self.heard else {})
        answer = self.visitor.get(f"/search/live/?{urlencode(parameters)}")
        assert answer.status == 200, answer
        self.cursor, self.heard = answer.headers["x-cursor"], answer.headers["x-heard"]
        return answer

    def begin(self) -> "Tail":
        """Return it once the server listens."""
        wait_for(lambda: self.ask(waits=False) and self.heard, "the listener")
        return self


def event(content: str) -> dict[str, object]:
    return {"event_type": "note", "session_id": "s", "actor_type": "System", "actor_id": "x", "content": content}


def save(writer: Client, content: str) -> None:
    status, answer, _ = writer.call("POST", "/events", event(content))
    assert status == 201, answer


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if postgres.binaries() is None:
        pytest.skip("NOT TESTED: POSTGRESQL IS NOT INSTALLED")
    with postgres.empty_cluster() as cluster:
        cluster.create_databases()
        yield cluster


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ServedSite:
    home = tmp_path_factory.mktemp("listening")
    site = ServedSite(home / "store.db", home / "dashboard.db", url=cluster.url(STORE))
    manage(site.environment, ["migrate"], ["migrate", "--database", "store"], ["shell", "-v", "0", "-c", MAKE_PERSON])
    return site


@pytest.fixture(scope="module")
def server(site: ServedSite) -> Iterator[Server]:
    with serving(site) as server:
        yield server


@pytest.fixture(scope="module")
def writer(site: ServedSite, server: Server) -> Client:
    return made_clients(site, server)[0]


@pytest.fixture
def tail(server: Server) -> Iterator[Tail]:
    with Visitor(server.port) as person:
        person.sign_in()
        yield Tail(person).begin()


def test_a_tail_waits_and_is_answered_as_soon_as_something_is_saved(tail: Tail, writer: Client):
    tail.ask(waits=False)
    saving = threading.Timer(1.0, save, [writer, "heard at once"])
    saving.start()
    answer = tail.ask()
    saving.join()
    assert "heard at once" in answer.text
    assert 0.9 < answer.seconds < 3, "as long as until it was saved"


def test_every_event_of_a_burst_is_shown_though_most_give_no_word(tail: Tail, writer: Client):
    tail.ask(waits=False)
    numbers = range(40)

    def burst() -> None:
        for number in numbers:
            save(writer, f"burst {number};")

    saving = threading.Thread(target=burst)
    saving.start()
    began, text = time.monotonic(), ""
    while not all(f"burst {number};" in text for number in numbers) and time.monotonic() - began < 30:
        text += tail.ask().text
    saving.join()
    assert all(f"burst {number};" in text for number in numbers)
    # The word of the last one may count a moment after it was read.
    assert max(tail.ask().seconds, tail.ask().seconds) > 3, "the canary: it waits again, and found all by their words"


def test_what_another_program_wrote_is_shown_within_seconds(tail: Tail, cluster: Cluster):
    tail.ask(waits=False)
    cluster.execute(STORE, _INSERT.format("unspoken"))
    answer = tail.ask()
    assert "by itself" in answer.text
    assert answer.seconds < 8


def test_many_waiting_tails_take_no_thread_from_pages(server: Server, tail: Tail):
    """Four requests are worked on at the same time; sixty wait."""
    tail.ask(waits=False)
    query = urlencode({"q": "", "cursor": tail.cursor, "heard": tail.heard})
    with ThreadPoolExecutor(60) as pool, ExitStack() as closing:
        visitors = [closing.enter_context(tail.visitor.another()) for _ in range(60)]
        asked = [pool.submit(visitor.get, f"/search/live/?{query}") for visitor in visitors]
        # Long enough for all to have been sent.
        time.sleep(0.5)
        page = tail.visitor.get("/agents/")
        assert not any(answer.done() for answer in asked), "the canary: all of them wait"
        assert (page.status, page.seconds < 2) == (200, True), page
        assert {answer.result().status for answer in asked} == {200}


@pytest.mark.parametrize("heard", ["", "x", "1.2", "1.0.store", "1.0.other", "9" * 3000, "%00", "..", "١.١.store"])
def test_a_token_that_is_none_is_answered_soon(tail: Tail, heard: str):
    answer = tail.visitor.get(f"/search/live/?{urlencode({'q': '', 'cursor': tail.cursor, 'heard': heard})}")
    assert (answer.status, answer.seconds < 4) == (200, True), answer


def test_a_listener_that_is_cut_off_listens_again(tail: Tail, writer: Client, cluster: Cluster):
    listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    assert int(cluster.execute(STORE, listeners)) > 0
    wait_for(lambda: not tail.ask(waits=False).headers["x-heard"], "the loss")
    assert tail.ask().seconds < 1, "Without a listener it asks as on SQLite."
    tail.begin()
    save(writer, "after the loss")
    assert "after the loss" in tail.ask().text


def test_a_server_with_waiting_tails_stops_in_time(site: ServedSite):
    with serving(site) as server, Visitor(server.port) as person:
        person.sign_in()
        tail = Tail(person).begin()
        asking = threading.Thread(target=lambda: Tail(person, tail.cursor, tail.heard).ask(), daemon=True)
        asking.start()
        time.sleep(0.5)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 30, "the waiting request held it up"
        assert server.process.returncode == 0
        asking.join(10)


@needs_pgbouncer
def test_behind_a_pooler_that_no_url_names_no_word_is_promised(cluster: Cluster, site: ServedSite, tmp_path: Path):
    with running(cluster) as bouncer:
        pooled = replace(site, url=bouncer.url(STORE, options="?pool_min=0"))
        with serving(pooled) as server, Visitor(server.port) as person:
            person.sign_in()
            tail = Tail(person)
            # For as long as the listener waits for its own word.
            ends = time.monotonic() + 4
            while time.monotonic() < ends:
                assert tail.ask(waits=False).headers["x-heard"] == ""
