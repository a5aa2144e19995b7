"""What machines ask: health, readiness, metrics."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from statestore.access import tokens
from statestore.operations import readiness
from tests.builders import make_agent, make_transition
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db


def test_metrics_are_for_this_machine(client: Client):
    make_agent(status="running")
    make_transition("a", timestamp=2**33)
    text = client.get("/metrics").content.decode()
    for line in (
        "statestore_ready 1.0", 'statestore_agents{status="running"} 1.0', "statestore_transitions_last_hour 1.0",
    ):  # fmt: skip
        assert f"\n{line}\n" in f"\n{text}\n"


def test_from_elsewhere_metrics_need_a_token(client: Client, people: dict[str, User]):
    _, may = tokens.create(people["viewer"], "t", ["read"])
    _, may_not = tokens.create(people["viewer"], "t", ["write"])
    for sent, status in ((may, 200), (may_not, 401), ("dss.x.y", 401)):
        answer = client.get("/metrics", REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION=f"Bearer {sent}")
        assert answer.status_code == status
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 401
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="192.0.2.1").status_code == 401


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        ({"HTTPS": True}, {}),
        ({"TRUSTED_PROXIES": ["127.0.0.1"]}, {}),
        ({"PATH_PREFIX": "/dash"}, {}),
        ({}, {"SERVER_PROTOCOL": "HTTP/1.0"}),
        ({"PUBLIC_HOSTS": ["dash.example.org"], "ALLOWED_HOSTS": ["*"]}, {"HTTP_HOST": "dash.example.org:8000"}),
        ({"PUBLIC_HOSTS": [".example.org"], "ALLOWED_HOSTS": ["*"]}, {"HTTP_HOST": "dash.example.org"}),
        *(
            ({}, {f"HTTP_{name}": "192.0.2.1"})
            for name in ("X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_REAL_IP", "FORWARDED", "VIA")
        ),
    ],
)
def test_loopback_alone_does_not_open_metrics_where_a_proxy_may_have_sent_the_request(
    client: Client, settings: Any, people: dict[str, User], changed: dict[str, Any], sent: Any
):
    for name, value in changed.items():
        setattr(settings, name, value)
    answer = client.get("/metrics", **sent)
    assert answer.status_code == 401
    assert "token" in answer.content.decode()
    _, secret = tokens.create(people["viewer"], "t", ["read"])
    assert client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {secret}", **sent).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_public_names_do_not_close_metrics_to_this_machine(client: Client, settings: Any, host: str):
    settings.PUBLIC_HOSTS, settings.ALLOWED_HOSTS = ["*"], ["*"]
    assert client.get("/metrics", HTTP_HOST=host).status_code == 200


def test_readiness_looks_at_databases_migrations_and_disk(client: Client, monkeypatch: pytest.MonkeyPatch):
    assert client.get("/healthz").json() == {"ok": True}
    assert client.get("/readyz").json() == {"ok": True}
    monkeypatch.setattr(readiness, "free_bytes", lambda: {"store": 1024})
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "disk" in answer.json()["error"]
    assert 'statestore_part_ready{part="disk"} 0.0' in client.get("/metrics").content.decode()


def test_a_database_that_is_behind_is_told(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readiness, "_migrated", set())

    class Behind:
        def __init__(self, connection: Any) -> None:
            self.loader = type("Loader", (), {"graph": type("Graph", (), {"leaf_nodes": list})})

        def migration_plan(self, nodes: Any) -> list[int]:
            return [1]

    monkeypatch.setattr(readiness, "MigrationExecutor", Behind)
    assert "migrate" in client.get("/readyz").json()["error"]


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "pod-7.cluster.local", "", "no such host!"])
def test_a_probe_is_answered_for_any_host_name_and_without_https(
    client: Client, settings: Any, address: str, host: str
):
    settings.SECURE_SSL_REDIRECT = True
    client = Client()  # Its middleware reads the setting when it is made.
    answer = client.get(address, HTTP_HOST=host, headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}=x"})
    assert answer.status_code == 200
    assert answer.json() == {"ok": True}


def test_liveness_asks_no_database(client: Client, django_assert_num_queries: Any):
    client.cookies["descartes_session"] = "x" * 32
    for alias in connections:
        with django_assert_num_queries(0, connection=connections[alias]):
            assert client.get("/healthz").json() == {"ok": True}
            assert client.head("/healthz").status_code == 200
            assert client.post("/healthz").status_code == 405


def test_readiness_answers_while_a_part_hangs(client: Client, monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    looks: list[int] = []

    def hang() -> str:
        looks.append(1)
        released.wait(60)
        return ""

    monkeypatch.setattr(readiness, "_store", hang)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.05)
    try:
        for _ in range(3):
            answer = client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["parts"] == {
                "database": "",
                "store": "The store did not answer within 0.05 s.",
                "disk": "",
            }
        assert len(looks) == 1
    finally:
        released.set()
    monkeypatch.undo()
    wait_for(lambda: client.get("/readyz").status_code == 200, "readiness after the part answers again")
