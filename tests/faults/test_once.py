"""Killed at random moments, the server has done what was asked under a key once, or not at all; asked again, once."""

import http.client
import json
import random
import threading
from dataclasses import dataclass

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import CONNECTION_LOST, HOST, serving
from tests.faults.sites import NAME, QUIET, Site, SiteMaker
from tests.waiting import HANG_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

KILLS, CANARY_KILLS = times(2, 60), 1


@dataclass
class Asked:
    """A request that was sent, perhaps before the server was killed, and its answer where one came."""

    key: str | None
    description: str
    answer: bytes | None = None


def ask(port: int, secret: str, asked: Asked) -> None:
    """Take a snapshot, and note the answer. Raises what a lost connection raises."""
    connection = http.client.HTTPConnection(HOST, port, timeout=HANG_SECONDS)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    if asked.key is not None:
        headers["Idempotency-Key"] = asked.key
    try:
        body = json.dumps({"description": asked.description})
        connection.request("POST", f"/api/v1/agents/{QUIET[0]}/snapshots", body, headers)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 201, answer
        if asked.key is not None:
            assert asked.answer in (None, answer), "the same request was answered otherwise"
        asked.answer = answer
    finally:
        connection.close()


def killed(site: Site, secret: str, number: int, *, with_key: bool) -> list[Asked]:
    """Return what was asked of a server until it was killed."""
    sent: list[Asked] = []
    with serving(site) as server:
        begun = threading.Event()

        def go_on() -> None:
            try:
                while True:
                    name = f"{number}-{len(sent)}"
                    sent.append(Asked(f"key-{name}" if with_key else None, name))
                    ask(server.port, secret, sent[-1])
                    begun.set()
            except CONNECTION_LOST:
                return

        thread = threading.Thread(target=go_on)
        thread.start()
        begun.wait(HANG_SECONDS)
        # Nothing is awaited here: any moment within the next requests is as good as another.
        threading.Event().wait(random.uniform(0, 0.05))
        server.kill()
        thread.join()
    return sent


def taken_twice(site: Site, secret: str, kills: int, *, with_key: bool) -> tuple[int, list[str]]:
    """Return how many requests there were, and which were done otherwise than once after all were sent again."""
    sent = [asked for number in range(kills) for asked in killed(site, secret, number, with_key=with_key)]
    with serving(site) as server:
        for asked in sent:
            ask(server.port, secret, asked)
    sql = "SELECT description, count(*) FROM state_snapshots WHERE agent_id = ? GROUP BY 1"
    counts = dict(site.rows(sql, QUIET[0]))
    return len(sent), [asked.description for asked in sent if counts.get(asked.description) != 1]


def test_a_key_is_used_once_across_kills(make_site: SiteMaker):
    site = make_site("wal")
    secret = site.manage("token", "create", "t", "--user", NAME, "--scopes", "read,write").strip()
    count, wrong = taken_twice(site, secret, KILLS, with_key=True)
    broken = make_site("wal", site.store.parent / "canary")
    secret = broken.manage("token", "create", "t", "--user", NAME, "--scopes", "read,write").strip()
    _, caught = taken_twice(broken, secret, CANARY_KILLS, with_key=False)
    tell("repeated key across kills", kills=KILLS, requests=count, failures=len(wrong), canary=f"{len(caught)} twice")
    assert not wrong, wrong[:5]
    assert caught, "without a key nothing was done twice: the test sees nothing"
