"""Holds on agents, snapshots and restores: made by a button or a call, seen on pages, taken off again."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models, restore, retention
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.models import Hold
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_snapshot
from tests.conftest import signed_in
from tests.views.test_errors_in_place import post
from tests.views.test_upkeep import words

pytestmark = pytest.mark.django_db

REASON = "incident <7>"


@pytest.fixture
def administrator(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


def told(html: str) -> str:
    """Return the words of a page; what was just done was done now, however busy the machine is."""
    return re.sub(r"\d+s ago", "now", words(html))


def held(noun: str, row_id: str) -> Hold | None:
    return retention.held(store_alias(), noun, row_id)


def test_an_operator_holds_an_agent_and_its_page_says_so(operator: Client):
    make_agent("a1")
    assert "Hold agent" in operator.get("/agents/a1/").content.decode()
    assert operator.post("/agents/a1/hold/", {"reason": REASON})["Location"] == "/agents/a1/"
    hold = held("agent", "a1")
    assert hold is not None
    assert (hold.actor, hold.reason) == ("operator", REASON)
    for page in ("/agents/a1/", "/agents/a1/timeline/"):
        html = operator.get(page).content.decode()
        assert "Held by operator since now — incident <7>" in told(html), page
        assert REASON not in html, "It is escaped."
        assert "Hold agent" not in html
        assert "Take the hold off" not in html, "An operator may not."


def test_an_administrator_takes_the_hold_off_an_agent(administrator: Client):
    make_agent("a1")
    retention.hold(store_alias(), "agent", "a1", by=audit.SYSTEM)
    assert "Take the hold off" in administrator.get("/agents/a1/").content.decode()
    assert administrator.post("/agents/a1/release/")["Location"] == "/agents/a1/"
    assert held("agent", "a1") is None
    assert "Held by" not in administrator.get("/agents/a1/").content.decode()


def test_a_held_snapshot_says_so_and_is_not_deleted(administrator: Client):
    snapshot = make_snapshot(make_agent("a1"))
    address = snapshot.get_absolute_url()
    assert "Hold snapshot" in administrator.get(address).content.decode()
    administrator.post(f"{address}hold/", {"reason": "for the audit"})
    assert "Held by administrator since now — for the audit" in told(administrator.get(address).content.decode())
    answer = post(administrator, f"{address}delete/", address)
    assert answer.status_code == 409
    assert "This snapshot, its agent or its restore is held. Take the hold off first." in answer.content.decode()
    administrator.post(f"{address}release/")
    assert "Held" not in told(administrator.get(address).content.decode())
    assert post(administrator, f"{address}delete/", address).status_code == 302


def test_a_snapshot_says_that_its_agent_is_held(viewer: Client):
    snapshot = make_snapshot(make_agent("a1"))
    retention.hold(store_alias(), "agent", "a1", reason="kept", by=Actor("ada"))
    html = viewer.get(snapshot.get_absolute_url()).content.decode()
    assert "Held with its agent by ada since now — kept" in told(html)
    assert "Hold snapshot" not in html, "A viewer holds nothing."


def test_a_restore_is_held_on_its_page_and_the_hold_is_taken_off(administrator: Client):
    snapshot = make_snapshot(make_agent("a1"), {"n": 1})
    done = restore.apply(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=audit.SYSTEM)
    address = done.get_absolute_url()
    assert "Hold restore" in administrator.get(address).content.decode()
    administrator.post(f"{address}hold/", {"reason": "incident 7"})
    assert "Held by administrator since now — incident 7" in told(administrator.get(address).content.decode())
    assert f'href="{address}"' in administrator.get("/upkeep/").content.decode()
    administrator.post(f"{address}release/")
    assert held("restore", done.pk) is None


def test_what_remains_of_a_deleted_agent_can_be_held(operator: Client):
    make_snapshot("gone", {"n": 1})
    assert "Hold agent" in operator.get("/agents/gone/").content.decode()
    operator.post("/agents/gone/hold/")
    assert held("agent", "gone") is not None
    assert "Held by operator" in told(operator.get("/agents/gone/").content.decode())


def test_a_reason_that_is_too_long_holds_nothing_and_is_kept(operator: Client):
    make_agent("a1")
    answer = post(operator, "/agents/a1/hold/", "/agents/a1/", reason="why? " * 150)
    assert answer.status_code == 422
    assert "why? why?" in answer.content.decode()
    assert held("agent", "a1") is None


def test_scripts_hold_and_release(people: dict[str, User], administrator: Client):
    snapshot = make_snapshot(make_agent("a/1"))
    script = script_of(people["administrator"])
    made = script.post("/holds", {"noun": "agent", "id": "a/1", "reason": "why"}).json()
    assert (made["noun"], made["row_id"], made["actor"], made["reason"]) == ("agent", "a/1", "administrator", "why")
    again = script.post("/holds", {"noun": "agent", "id": "a/1", "reason": "another"}).json()
    assert again["reason"] == "why", "A hold that exists stays."
    assert script.post("/holds", {"noun": "snapshot", "id": snapshot.pk}).status_code == 200
    listed = script.get("/holds").json()["items"]
    assert {(row["noun"], row["row_id"]) for row in listed} == {("agent", "a/1"), ("snapshot", snapshot.pk)}
    assert script.delete(f"/snapshots/{snapshot.pk}").status_code == 409
    assert script.delete(f"/holds/agent/{made['row_address']}").status_code == 204
    assert script.delete(f"/holds/snapshot/{snapshot.pk}").status_code == 204
    assert script.delete(f"/holds/snapshot/{snapshot.pk}").status_code == 204, "without one nothing happens"
    assert not Hold.objects.exists()
    assert script.delete(f"/snapshots/{snapshot.pk}").status_code == 204


@pytest.mark.parametrize("noun", ["agent", "snapshot", "restore"])
def test_what_does_not_exist_is_not_held(people: dict[str, User], noun: str):
    script = script_of(people["administrator"])
    assert script.post("/holds", {"noun": noun, "id": "nothing"}).status_code == 404
    assert not Hold.objects.exists()


def test_nothing_else_is_held(people: dict[str, User]):
    script = script_of(people["administrator"])
    assert script.post("/holds", {"noun": "task", "id": "t1"}).status_code == 422
    assert script.delete("/holds/task/t1").status_code == 422


def test_a_hold_is_taken_off_what_its_orchestrator_deleted(people: dict[str, User]):
    snapshot = make_snapshot(make_agent("a1"))
    retention.hold(store_alias(), "snapshot", snapshot.pk, by=audit.SYSTEM)
    models.Snapshot.objects.filter(pk=snapshot.pk).delete()
    assert script_of(people["administrator"]).delete(f"/holds/snapshot/{snapshot.pk}").status_code == 204
    assert not Hold.objects.exists()


def test_a_limited_token_holds_its_own_agents_alone(people: dict[str, User]):
    make_agent("own", namespace="m")
    make_agent("other", namespace="n")
    retention.hold(store_alias(), "agent", "other", by=audit.SYSTEM)
    script: Script = script_of(people["administrator"], namespaces=["m"])
    assert script.post("/holds", {"noun": "agent", "id": "own"}).status_code == 200
    assert script.post("/holds", {"noun": "agent", "id": "other"}).status_code == 404
    assert script.delete("/holds/agent/other").status_code == 404
    assert held("agent", "other") is not None
