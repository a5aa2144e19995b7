"""What machines ask: health, readiness, metrics."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore.access import tokens
from statestore.operations import readiness
from tests.builders import make_agent, make_transition

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
