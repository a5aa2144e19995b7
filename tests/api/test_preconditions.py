"""If-Match and If-None-Match: what a write is bound to, and what is refused where there is nothing to be bound to."""

from typing import Any

import pytest

from statestore import models
from tests.api.conftest import Script
from tests.builders import make_agent, make_session, make_snapshot, make_task

pytestmark = pytest.mark.django_db
STALE = f'"{"0" * 64}"'
EVENT = {"event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "a1", "content": "x"}


@pytest.mark.parametrize(
    ("path", "body"), [("purge", None), ("snapshots", {}), ("fork", {"agent_id": "a2"}), ("undelete", None)]
)
def test_what_is_done_to_an_agent_can_be_bound_to_what_was_seen(script: Script, path: str, body: Any):
    agent = make_agent("a1", is_deleted=1)
    answer = script("POST", f"/agents/a1/{path}", body, if_match=STALE)
    assert (answer.status_code, answer["ETag"]) == (412, f'"{agent.etag()}"')
    assert models.AgentState.objects.get().etag() == agent.etag()
    assert script("POST", f"/agents/a1/{path}", body, if_match=f'"{agent.etag()}"').status_code < 300


@pytest.mark.parametrize(
    ("path", "body"),
    [("/events", EVENT), ("/events/batch", {"events": [EVENT]}), ("/tasks", {"title": "T"}),
     ("/bulk/status", {"agents": ["a1"], "status": "paused"}), ("/views", {"name": "v", "q": ""})],
)  # fmt: skip
@pytest.mark.parametrize("name", ["if_match", "if_none_match"])
def test_a_call_that_is_bound_to_no_row_takes_no_condition(script: Script, path: str, body: Any, name: str):
    make_agent("a1")
    answer = script.post(path, body, **{name: STALE})
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "header")
    assert not models.Event.objects.exists()
    assert not models.Task.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/agents/new", {"state": 1}), ("/agents/new", {"state": 1, "namespace": "n"}), ("/tasks/new", {"title": "T"}),
     ("/sessions/new", {"agent_id": "a1"})],
)  # fmt: skip
def test_any_row_is_asked_for_where_there_is_none(script: Script, path: str, body: Any):
    make_agent("a1")
    assert script.put(path, body, if_match="*").status_code == 412
    assert script.get(path).status_code == 404
    assert script.put(path, body).status_code == 201
    assert script.put(path, body, if_match="*").status_code == 200


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"abc"', 412),
        (f"W/{STALE}", 412),
        ('"*"', 412),
        ('W/"*"', 412),
        (f"{STALE}, {STALE}", 422),
        ("abc", 422),
        ("", 422),
    ],
)
def test_a_tag_that_no_row_has_is_none_and_what_is_no_tag_is_refused(script: Script, tag: str, status: int):
    make_agent("a1")
    answer = script.put("/agents/a1", {"state": 1}, if_match=tag)
    assert answer.status_code == status
    assert status == 412 or answer.json()["errors"] == [
        {"where": "header", "name": "If-Match", "detail": "If-Match takes one ETag in quotes, as in the ETag header."}
    ]


# What proxies that compress make of a tag: nginx, Apache, Caddy.
CHANGED_BY_PROXIES = ['W/"{}"', '"{}-gzip"', '"{}-zstd"', 'W/"{}-br"', '"{};gzip"']


@pytest.mark.parametrize("changed", CHANGED_BY_PROXIES)
def test_a_tag_that_a_proxy_has_changed_is_still_the_rows(script: Script, changed: str):
    agent = make_agent("a1")
    assert script.put("/agents/a1", {"state": 1}, if_match=changed.format("0" * 64)).status_code == 412
    assert script.put("/agents/a1", {"state": 1}, if_match=changed.format(agent.etag())).status_code == 200
    assert script.put("/agents/a1", {"state": 2}, if_match=changed.format(agent.etag())).status_code == 412


@pytest.mark.parametrize("changed", CHANGED_BY_PROXIES)
@pytest.mark.parametrize("noun", ["agent", "task", "session", "snapshot"])
def test_each_noun_takes_such_a_tag(script: Script, noun: str, changed: str):
    agent = make_agent("a1")
    rows = {"agent": agent, "task": make_task(), "session": make_session(agent), "snapshot": make_snapshot(agent)}
    path = f"/{noun}s/{rows[noun].pk}"
    etag = script.get(path)["ETag"].strip('"')
    assert script.delete(path, if_match=changed.format("0" * 64)).status_code == 412
    assert script.delete(path, if_match=changed.format(etag)).status_code == 204


@pytest.mark.parametrize("tags", ['"{}"', '"a,b", "{}"', *CHANGED_BY_PROXIES])
def test_a_cached_version_need_not_be_read_again(script: Script, tags: str):
    make_agent("a1")
    etag = script.get("/agents/a1")["ETag"]
    answer = script.get("/agents/a1", if_none_match=tags.format(etag.strip('"')))
    assert (answer.status_code, answer["ETag"], answer.content) == (304, etag, b"")
    assert "Content-Type" not in answer
    assert script.get("/agents/a1", if_none_match='"a"').status_code == 200


def test_who_has_any_version_need_not_read_it_again(script: Script):
    make_agent("a1")
    assert script.get("/agents/a1", if_none_match="*").status_code == 304


def test_the_tag_of_a_restore_is_the_same_however_it_is_asked_for(script: Script):
    snapshot = make_snapshot(make_agent("a1", state={"n": 2}), {"n": 1})
    plan = script.post("/restores", {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}"})
    path = f"/restores/{plan.json()['address']}"
    assert script.get(path)["ETag"] == plan["ETag"]
    assert script("POST", f"{path}/apply", if_match=STALE).status_code == 412
    done = script("POST", f"{path}/apply", if_match=plan["ETag"])
    assert (done.status_code, script.get(f"/restores/{done.json()['address']}")["ETag"]) == (200, done["ETag"])
    undone = script("POST", f"/restores/{done.json()['address']}/undo")
    assert script.get(f"/restores/{undone.json()['address']}")["ETag"] == undone["ETag"]


def test_a_call_without_a_body_refuses_one(script: Script):
    snapshot = make_snapshot(make_agent("a1", state={"n": 2}), {"n": 1})
    plan = script.post("/restores", {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}"}).json()
    for body in ({"dry_run": True}, [1], 1):
        answer = script.post(f"/restores/{plan['address']}/apply", body)
        assert (answer.status_code, "takes no body" in answer.json()["detail"]) == (422, True)
    assert models.AgentState.objects.get().state_data == '{"n": 2}'
    assert script.post(f"/restores/{plan['address']}/apply", {}).status_code == 200


def test_what_is_optional_throughout_need_not_be_sent(script: Script):
    agent = make_agent("a1", state={"n": 2})
    snapshot, session = make_snapshot(agent, {"n": 1}), make_session(agent, ended_at=None)
    for path in ("/agents/a1/snapshots", f"/snapshots/{snapshot.pk}/restore", f"/sessions/{session.pk}/end"):
        assert script("POST", path).status_code < 300, path


def test_a_task_of_an_id_that_is_taken_is_left_as_it_is(script: Script):
    task = make_task(title="theirs")
    answer = script.post("/tasks", {"id": task.pk, "title": "mine"})
    assert answer.status_code == 409
    assert models.Task.objects.get().title == "theirs"
    assert not models.AuditEntry.objects.exists()
