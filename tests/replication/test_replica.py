"""A store with a read replica: what is read where, also to who has just written, and while one of both is away."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from descartes_site.postgres_cluster import STORE, Cluster
from tests.faults.server import Server, Visitor, serving
from tests.replication.conftest import Client, Pair, ReplicatedSite, made_clients
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.slow]

PAGES = (
    "/", "/agents/", "/agents/known/", "/agents/known/timeline/", "/changes/", "/events/", "/events/?q=error",
    "/sessions/", "/tasks/", "/restores/", "/snapshots/", "/audit/", "/upkeep/", "/growth/", "/trash/",
    "/find/?q=known", "/search/live/", "/agents/known/restore/?moment=now", "/search/export/?q=x", "/admin/",
)  # fmt: skip
CALLS = (
    "/agents", "/agents/known", "/agents/known/timeline", "/changes", "/events", "/events/search?q=x", "/sessions",
    "/events/search/facets?q=x", "/tasks", "/snapshots", "/restores", "/audit", "/health", "/find?q=known",
)  # fmt: skip
# A server looks once a second at how far the replica is: until then it sends those who wrote to the primary.
READS_THE_REPLICA = "reads from the replica, which is paused and lacks it"


@pytest.fixture(scope="module")
def server(site: ReplicatedSite) -> Iterator[Server]:
    with serving(site) as server:
        yield server


@pytest.fixture(scope="module")
def clients(site: ReplicatedSite, server: Server) -> tuple[Client, Client]:
    return made_clients(site, server)


def readiness(server: Server) -> str:
    """Return what /readyz says, which is well."""
    with Visitor(server.port) as visitor:
        answer = visitor.get("/readyz")
    assert answer.status == 200, answer
    return answer.text


def test_reads_go_to_the_replica_and_what_follows_a_write_to_the_primary(
    pair: Pair, server: Server, clients: tuple[Client, Client]
):
    writer, reader = clients
    with Visitor(server.port) as person, pair.paused():
        person.sign_in()
        writer.save("fresh")
        assert writer.sees("fresh"), "the writer reads the primary"
        wait_for(lambda: not reader.sees("fresh"), READS_THE_REPLICA)
        wait_for(lambda: person.get("/agents/fresh/").status == 404, READS_THE_REPLICA)
        assert person.get("/agents/fresh/timeline/").status == 404
    wait_for(lambda: reader.sees("fresh"), "the replica, which goes on")


def test_a_person_sees_what_they_have_just_changed(pair: Pair, server: Server, clients: tuple[Client, Client]):
    clients[0].save("shared")
    with Visitor(server.port) as person, Visitor(server.port) as same:
        person.sign_in()
        same.sign_in()
        wait_for(lambda: person.get("/agents/shared/").status == 200, "the replica")
        with pair.paused():
            answer = person.post("/agents/shared/status/", status="paused", etag="")
            assert answer.status in {200, 302}, answer
            assert "paused" in person.get("/agents/?status=paused").text
            assert "shared" in person.get("/agents/?status=paused").text
            assert "shared" in same.get("/agents/?status=paused").text, "another browser of the same user"
            wait_for(
                lambda: '"shared"' not in str(clients[1].call("GET", "/agents?status=paused")[1]), READS_THE_REPLICA
            )


def test_once_the_replica_has_replayed_a_write_its_writer_reads_the_replica_again(
    pair: Pair, clients: tuple[Client, Client]
):
    writer, _ = clients
    writer.save("replayed")
    pair.catch_up()

    def reads_replica() -> bool:
        with pair.paused():
            pair.primary.execute(STORE, "UPDATE agent_states SET status = 'failed' WHERE agent_id = 'replayed'")
            status = writer.call("GET", "/agents/replayed")[1]["status"]
            pair.primary.execute(STORE, "UPDATE agent_states SET status = 'idle' WHERE agent_id = 'replayed'")
            return bool(status != "failed")

    wait_for(reads_replica, "the writer's reads")


def test_previews_and_the_live_tail_read_the_primary(pair: Pair, server: Server, clients: tuple[Client, Client]):
    clients[0].save("previewed")
    with Visitor(server.port) as person:
        person.sign_in()
        wait_for(lambda: person.get("/agents/previewed/").status == 200, "the replica")
        with pair.paused():
            clients[0].save("later")
            wait_for(lambda: person.get("/agents/later/").status == 404, READS_THE_REPLICA)
            assert person.get("/agents/later/restore/?moment=now").status == 200, "a preview does not"


def test_while_the_replica_is_away_the_primary_is_read_at_once(
    pair: Pair, server: Server, clients: tuple[Client, Client]
):
    _, reader = clients
    clients[0].save("known")
    wait_for(lambda: reader.sees("known"), "the replica")
    pair.standby.stop()
    try:
        statuses = [reader.call("GET", "/agents/known")[0] for _ in range(20)]
        assert statuses == [200] * 20, "a reader noticed that the replica is gone"
        wait_for(lambda: "The replica does not answer. Pages read the primary." in readiness(server), "readiness")
        with Visitor(server.port) as person:
            assert "The replica does not answer" in person.sign_in().get("/").text, "the doctor's findings"
    finally:
        pair.standby.start()
    wait_for(lambda: "note" not in readiness(server), "the replica, which is back")


def test_while_the_primary_hangs_pages_read_the_replica(pair: Pair, server: Server, clients: tuple[Client, Client]):
    _, reader = clients
    clients[0].save("known")
    wait_for(lambda: reader.sees("known"), "the replica")
    with frozen(pair.primary):
        wait_for(lambda: "The primary does not answer" in readiness(server), "readiness")
        answers = [reader.call("GET", "/agents/known")[0] for _ in range(20)]
    assert answers == [200] * 20
    wait_for(lambda: "note" not in readiness(server), "the primary, which goes on")


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Stop all processes of a server for a block, without an end to any connection."""
    leader = int((cluster.home / "data" / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    processes = [leader, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_each_of_several_stores_may_have_a_replica(pair: Pair, site: ReplicatedSite, clients: tuple[Client, Client]):
    several = {**site.environment, "STORE_URL": "", "STORES": f"one={site.url},two={pair.standby.url('dashboard')}"}
    with serving(site, environment=several) as server:
        writer, reader = (replace(client, port=server.port, at="/stores/one") for client in clients)
        writer.save("among-several")
        wait_for(lambda: reader.sees("among-several"), "the replica")
        with pair.paused():
            writer.save("fresh-among-several")
            assert writer.sees("fresh-among-several"), "the writer reads the primary"
            wait_for(lambda: not reader.sees("fresh-among-several"), READS_THE_REPLICA)


def test_nothing_is_written_to_the_replica(pair: Pair, site: ReplicatedSite):
    write = "from statestore import models; models.Session.objects.using('replica:store').create(id='x', started_at=1)"
    with pytest.raises(AssertionError, match="read-only transaction"):
        site.manage("shell", "-v", "0", "-c", write)


def test_the_primary_fails_and_the_replica_takes_its_place(
    pair: Pair, site: ReplicatedSite, server: Server, clients: tuple[Client, Client]
):
    writer, reader = clients
    writer.save("known")
    pair.catch_up()
    wait_for(lambda: reader.sees("known"), "the replica")
    with Visitor(server.port) as person:
        person.sign_in()
        pair.primary.stop()
        try:
            wait_for(lambda: "The primary does not answer" in readiness(server), "readiness")
            pages = {path: person.get(path).status for path in PAGES}
            assert pages == dict.fromkeys(PAGES, 200)
            calls = {path: client.call("GET", path)[0] for path in CALLS for client in clients}
            assert calls == dict.fromkeys(CALLS, 200)
            form = person.post("/agents/known/status/", status="paused", etag="")
            assert (form.status, "retry-after" in form.headers) == (503, True), form
            assert_refused(writer)

            pair.standby.run("pg_ctl", "-D", pair.standby.home / "data", "-w", "promote")

            assert reader.sees("known"), "what was promoted is still there to be read"
            assert_refused(writer)
            moved = replace(site, url=pair.standby.url(STORE))
            with serving(moved) as promoted:
                replace(writer, port=promoted.port).save("taken-over")
                assert replace(reader, port=promoted.port).sees("taken-over")
        finally:
            pair.primary.start()
            wait_for(lambda: "note" not in readiness(server) or "promoted" in readiness(server), "the primary")
            pair.make_standby()
    wait_for(lambda: "note" not in readiness(server), "both servers, which are back")
    assert not reader.sees("taken-over"), "what the other server has is not mixed in"


def assert_refused(client: Client) -> None:
    """Check that a save is refused with 503, and with when to try again."""
    status, content, headers = client.call("PUT", "/agents/known", {"state": {"step": 2}, "name": "known"})
    assert (status, "Retry-After" in headers) == (503, True), content
    assert "server" in content["detail"], content
