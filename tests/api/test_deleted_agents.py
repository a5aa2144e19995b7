"""What remains of an agent whose row its orchestrator deleted, through the API and on the pages."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from tests.api.conftest import Script, script_of
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db
LONG = "x" * 2000


@pytest.fixture
def snapshot(db: None) -> models.Snapshot:
    make_transition("a1", {"a": 1}, {"a": 2}, timestamp=NOW, reason="step")
    return make_snapshot("a1", {"a": 2}, created_at=NOW + 50)


READS = [
    f"state?moment=at:{NOW}", f"diff?from=at:{NOW}&to=at:{NOW + 60}", "history?path=/a", "blame", "timeline",
    "bisect?condition=/a%20exists", "transitions", "snapshots",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_its_past_is_read_by_callers_who_see_the_whole_store(
    script: Script, people: dict[str, User], snapshot: models.Snapshot, path: str
):
    assert script.get(f"/agents/a1/{path}").status_code == 200, script.get(f"/agents/a1/{path}").content
    limited = script_of(people["administrator"], namespaces=["ops", ""])
    assert limited.get(f"/agents/a1/{path}").status_code == 404
    assert "remains" not in limited.get(f"/agents/a1/{path}").json()["detail"]


def test_its_present_is_not_found_and_the_answer_says_what_remains(script: Script, snapshot: models.Snapshot):
    for path in ("/agents/a1", "/agents/a1/state", "/agents/a1/diff?from=now"):
        answer = script.get(path)
        assert answer.status_code == 404
        assert "1 transition and 1 snapshot" in answer.json()["detail"]
    assert script.post("/agents/a1/snapshots").status_code == 404


def test_it_is_restored_undone_and_forked(script: Script, people: dict[str, User], snapshot: models.Snapshot):
    body: Any = {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}"}
    limited = script_of(people["administrator"], namespaces=["ops"])
    assert limited.post("/restores", body).status_code == 404
    assert limited.post("/agents/a1/fork", {"agent_id": "a2", "moment": body["moment"]}).status_code == 404
    preview = script.post("/restores", {**body, "dry_run": True}).json()
    assert ([one["kind"] for one in preview["warnings"]], preview["changes_nothing"]) == (["gone"], False)
    plan = script.post("/restores", body).json()
    applied = script.post(f"/restores/{plan['id']}/apply").json()
    assert (applied["stands"], applied["safety_snapshot_id"]) == (True, None)
    assert script.get("/agents/a1").json()["state"] == {"a": 2}
    undone = script.post(f"/restores/{plan['id']}/undo")
    assert (undone.status_code, undone.json()["stands"]) == (201, True)
    assert script.get("/agents/a1").status_code == 404
    assert script.post(f"/snapshots/{snapshot.pk}/restore").status_code == 201
    assert script.get("/agents/a1").status_code == 200


def test_it_is_forked(script: Script, snapshot: models.Snapshot):
    body = {"agent_id": "a2", "moment": f"snapshot:{snapshot.pk}"}
    assert script.post("/agents/a1/fork", body).status_code == 201
    assert models.AgentState.objects.get().state_data == '{"a": 2}'


def test_an_agent_in_the_trash_is_not_taken_for_a_deleted_one(script: Script, snapshot: models.Snapshot):
    make_agent("a1", is_deleted=1)
    assert script.get("/agents/a1/timeline").status_code == 404
    assert script.get("/agents/a1/timeline?trash=true").status_code == 200


PAGES = [
    "", "timeline/", f"timeline/?moment=at:{NOW}", "blame/", "bisect/?condition=/a exists", "history/?path=/a",
    f"state/?moment=at:{NOW}", f"branch/?moment=at:{NOW}&path=", f"restore/?moment=at:{NOW}", f"fork/?moment=at:{NOW}",
    "fork/",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_its_pages_are_shown(operator: Client, snapshot: models.Snapshot, page: str):
    assert operator.get(f"/agents/a1/{page}").status_code == 200


def test_it_is_compared_and_found_by_a_long_id(operator: Client, snapshot: models.Snapshot):
    assert operator.get(f"/compare/?left=a1&before=at:{NOW}&after=at:{NOW + 60}").status_code == 200
    row = make_snapshot(LONG, {"a": 1})
    assert operator.get(models.AgentState.gone(LONG).get_absolute_url()).status_code == 200
    assert operator.get(row.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_its_pages_link_to_json_that_is_there(operator: Client, snapshot: models.Snapshot, page: str):
    found = re.search(r'href="(/api/v1/[^"]*)"', operator.get(f"/agents/a1/{page}").content.decode())
    if found:
        assert operator.get(unescape(found[1])).status_code == 200


def test_its_page_says_that_it_was_deleted_and_offers_to_restore_it(
    operator: Client, viewer: Client, snapshot: models.Snapshot
):
    page = operator.get("/agents/a1/").content.decode()
    assert "The orchestrator deleted this agent" in page
    assert "Restore the last known state" in page
    assert "Restore the last known state" not in viewer.get("/agents/a1/").content.decode()
    assert operator.get("/agents/a2/").status_code == 404


def test_a_restore_from_its_pages_warns_first_and_is_undone_there(operator: Client, snapshot: models.Snapshot):
    sent = {"moment": f"snapshot:{snapshot.pk}", "etag": models.GONE_ETAG}
    assert "moment=" in operator.post("/agents/a1/restore/", sent)["Location"]
    assert not models.AgentState.objects.exists()
    made = operator.post("/agents/a1/restore/", {**sent, "confirmed": "1"})["Location"]
    page = operator.get(made)
    assert "this restore created it" in " ".join(page.content.decode().split())
    undo = {"etag": models.AgentState.objects.get().etag()}
    removed = operator.post(f"{made}undo/", undo)["Location"]
    assert not models.AgentState.objects.exists()
    assert operator.get(removed).status_code == operator.get(made).status_code == operator.get("/restores/").status_code
    again = operator.post(f"{removed}undo/", {"etag": models.GONE_ETAG})["Location"]
    assert operator.get(again).status_code == 200
    models.AgentState.objects.update(state_data="{}")
    assert operator.post(f"{made}undo/", {"etag": models.AgentState.objects.get().etag()}).status_code == 409
