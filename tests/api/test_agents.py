"""Agents through the API: saved, read, changed, thrown away and brought back."""

import json
from typing import Any

import pytest

from statestore import models
from tests.api.conftest import Script
from tests.builders import make_agent, make_transition

pytestmark = pytest.mark.django_db


def test_a_state_is_saved_and_its_transition_recorded_in_one_call(script: Script):
    first = script.put("/agents/coder-1", {"state": {"step": 1}, "status": "running", "reason": "started"})
    assert first.status_code == 201, first.content
    assert first["Location"] == "/api/v1/agents/coder-1"
    again = script.put("/agents/coder-1", {"state": {"step": 2}})
    assert again.status_code == 200
    rows = models.Transition.objects.of_agent("coder-1").oldest_first()
    assert [(row.state_before, row.state_after, row.reason) for row in rows] == [
        ("", '{"step": 1}', "started"),
        ('{"step": 1}', '{"step": 2}', None),
    ]
    assert again.json()["transition_id"] == rows[1].pk
    assert script.put("/agents/coder-1", {"state": {"step": 2}}).json()["transition_id"] is None


def test_a_state_is_stored_as_it_was_sent_literal_by_literal(script: Script):
    text = '{"big":1e400, "zero": -0,"long":0.1000000000000000055,\n "e":"\\u00e9","list":[ ]}'
    assert script("PUT", "/agents/a1", f'{{"reason":"x", "state": {text} }}'.encode()).status_code == 201
    assert models.AgentState.objects.get().state_data == text
    answer = script.get("/agents/a1")
    assert answer.json()["state_data"] == text
    assert f'"state":{text}' in answer.content.decode()


def test_a_text_that_is_no_json_is_stored_as_it_is(script: Script):
    script.put("/agents/a1", {"state_data": "{not json"})
    found = script.get("/agents/a1").json()
    assert (found["state_data"], found["state"]) == ("{not json", None)


def test_a_row_has_its_hash_as_entity_tag(script: Script):
    agent = make_agent("a1")
    answer = script.get("/agents/a1")
    assert answer["ETag"] == f'"{agent.etag()}"'
    assert script.get("/agents/a1", if_none_match=answer["ETag"]).status_code == 304
    script.put("/agents/a1", {"state": 2})
    assert script.get("/agents/a1", if_none_match=answer["ETag"]).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_over_what_has_changed_is_refused_with_what_it_is_now(script: Script, method: str):
    make_agent("a1")
    seen = script.get("/agents/a1")["ETag"]
    script.put("/agents/a1", {"state": {"step": 2}})
    now = script.get("/agents/a1")["ETag"]
    body = None if method == "DELETE" else {"state": 3}
    answer = script(method, "/agents/a1", body, if_match=seen)
    assert (answer.status_code, answer["ETag"]) == (412, now)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "/api/v1/problems/moved"
    assert script.get("/agents/a1")["ETag"] == now
    assert script(method, "/agents/a1", body, if_match=now).status_code in (200, 204)


def test_create_never_overwrites_where_asked(script: Script):
    assert script.put("/agents/a1", {"state": 1}, if_none_match="*").status_code == 201
    assert script.put("/agents/a1", {"state": 2}, if_none_match="*").status_code == 412
    assert models.AgentState.objects.get().state_data == "1"


def test_a_patch_of_the_status_is_recorded_and_audited(script: Script):
    make_agent("a1", status="running")
    answer = script.patch("/agents/a1", {"status": "paused", "reason": "lunch"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["status"] == "paused"
    assert models.Transition.objects.get().reason == "status: running → paused (lunch)"
    entry = models.AuditEntry.objects.get()
    assert (entry.action, entry.actor) == ("status", "administrator")
    assert "(token dss." in entry.ip_address


def test_a_patch_of_what_is_not_there_makes_nothing(script: Script):
    assert script.patch("/agents/nobody", {"state": 1}).status_code == 404
    assert not models.AgentState.objects.exists()


def test_an_agent_goes_to_the_trash_and_comes_back(script: Script):
    make_agent("a1")
    assert script.delete("/agents/a1?reason=done").status_code == 204
    assert script.get("/agents").json()["items"] == []
    assert [row["id"] for row in script.get("/agents?trash=true").json()["items"]] == ["a1"]
    assert script.get("/agents/a1?trash=1").json()["tombstone"]["reason"] == "done"
    assert script.post("/agents/a1/undelete").status_code == 200
    assert script.get("/agents/a1").json()["in_trash"] is False


def test_an_agent_in_the_trash_is_changed_by_nothing_but_its_return(script: Script):
    make_agent("a1")
    assert script.delete("/agents/a1?reason=first").status_code == 204
    before = script.get("/agents/a1?trash=true").json()
    assert script.delete("/agents/a1?reason=second").status_code == 409
    for change in ({"name": "new"}, {"status": "paused"}, {"state": 2}):
        assert script.patch("/agents/a1", change).status_code == 409
    assert script.get("/agents/a1?trash=true").json() == before
    assert before["tombstone"]["reason"] == "first"


def reads_of_an_agent(description: dict[str, Any]) -> list[str]:
    """Return the path of each GET below /agents/{agent_id}, as the API describes itself."""
    return [
        path
        for path, calls in description["paths"].items()
        if path.startswith("/api/v1/agents/{agent_id}") and "get" in calls
    ]


# What a read needs besides the agent.
QUERIES = {"history": "path=/a", "bisect": "condition=/a+%3E+1", "diff": "from=now&to=now"}


def test_nothing_of_an_agent_in_the_trash_is_read_unless_the_trash_is_asked_for(
    script: Script, description: dict[str, Any]
):
    make_agent("a1", state={"a": 1})
    paths = reads_of_an_agent(description)
    assert len(paths) == 10
    addresses = [
        path.removeprefix("/api/v1").replace("{agent_id}", "a1") + "?" + QUERIES.get(path.rpartition("/")[2], "")
        for path in paths
    ]
    assert {script.get(address).status_code for address in addresses} == {200}
    assert script.delete("/agents/a1").status_code == 204
    for address in addresses:
        refused = script.get(address)
        assert refused.status_code == 404, address
        assert "POST /api/v1/agents/a1/undelete" in refused.json()["detail"]
        assert script.get(f"{address}&trash=1").status_code == 200, address
    (listed,) = script.get("/agents?trash=1").json()["items"]
    assert script.get(listed["url"].removeprefix("/api/v1")).json()["id"] == "a1"
    assert script.post("/agents/a1/undelete").status_code == 200
    assert {script.get(address).status_code for address in addresses} == {200}


def test_each_read_of_an_agent_describes_how_the_trash_is_asked_for(description: dict[str, Any]):
    for path in reads_of_an_agent(description):
        parameters = {one["name"]: one for one in description["paths"][path]["get"]["parameters"]}
        assert "trash" in parameters, path
        assert "404" in parameters["trash"]["description"]


def test_the_trash_is_filtered_too(script: Script):
    for name, namespace, status in (("a1", "n", "idle"), ("a2", "n", "failed"), ("a3", "m", "idle")):
        make_agent(name, namespace=namespace, status=status, is_deleted=1)
    items = script.get("/agents?trash=true&namespace=n&status=idle").json()["items"]
    assert [one["id"] for one in items] == ["a1"]


@pytest.mark.parametrize("name", ["name", "status", "version", "metadata", "state_data"])
def test_null_is_refused_where_it_would_change_nothing(script: Script, name: str):
    make_agent("a1")
    answer = script.patch("/agents/a1", {name: None})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


def test_a_change_says_who_made_it(script: Script):
    make_agent("a1")
    assert script.patch("/agents/a1", {"name": "N", "state": 2, "reason": "why"}).status_code == 200
    entry = models.AuditEntry.objects.get()
    assert (entry.action, entry.row_id, entry.actor) == ("change", "a1", "administrator")
    assert json.loads(entry.detail) == {"columns": "name, state_data", "reason": "why"}


def test_purging_needs_the_trash_first(script: Script):
    make_agent("a1")
    make_transition("a1")
    assert script.post("/agents/a1/purge").status_code == 409
    script.delete("/agents/a1")
    assert script.post("/agents/a1/purge").status_code == 204
    assert not models.Transition.objects.exists()


def test_lists_are_filtered_sorted_and_paged(script: Script):
    for number in range(5):
        make_agent(f"a{number}", status="failed" if number % 2 else "idle", updated_at=100 + number, namespace="n")
    assert [row["id"] for row in script.get("/agents?status=failed").json()["items"]] == ["a3", "a1"]
    first = script.get("/agents?limit=3&sort=id").json()
    assert [row["id"] for row in first["items"]] == ["a0", "a1", "a2"]
    rest = script.get(f"/agents?limit=3&sort=id&cursor={first['next']}").json()
    assert ([row["id"] for row in rest["items"]], rest["next"]) == (["a3", "a4"], None)
    assert script.get("/agents?namespace=").json()["items"] == []
    assert {row["namespace"] for row in script.get("/agents?namespace=n&q=A1").json()["items"]} == {"n"}


def test_what_is_not_known_is_refused_by_name(script: Script):
    assert "statuss" in script.get("/agents?statuss=failed").json()["detail"]
    answer = script.put("/agents/a1", {"state": 1, "stat": 2})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"where": "body", "pointer": "/stat", "detail": "Unknown field."}]
    assert script.get("/agents?sort=state_data").status_code == 422


@pytest.mark.parametrize("agent_id", ["", "a/b", "..", "<script>", "ünï", "x" * 3000, "a b"])
def test_any_id_has_its_address(script: Script, agent_id: str):
    make_agent(agent_id)
    row = script.get("/agents").json()["items"][0]
    assert script.get(f"/agents/{row['address']}").json()["id"] == agent_id


def test_what_is_no_address_names_and_makes_nothing(script: Script):
    for address in ("two words", "caf%C3%A9", "a%25b"):
        for method in ("get", "delete"):
            assert getattr(script, method)(f"/agents/{address}").status_code == 404
        answer = script.put(f"/tasks/{address}", {"title": "one"})
        assert answer.status_code == 404, answer.content
    assert not models.Task.objects.exists()


def test_any_bytes_are_shown_and_told(script: Script, on_sqlite: bool):
    if not on_sqlite:
        pytest.skip("PostgreSQL holds no such text")
    make_agent("a1", state="\udcff{", name="\udcfe")
    found = script.get("/agents/a1").json()
    assert (found["state_data"], found["name"]) == ("\ufffd{", "\ufffd")
    assert found["raw"] == {"name": "/g==", "state_data": "/3s="}


def test_a_fork_begins_with_the_state_of_a_moment(script: Script):
    agent = make_agent("a1", state={"step": 2}, namespace="n")
    row = make_transition(agent, {"step": 1}, {"step": 2})
    answer = script.post("/agents/a1/fork", {"agent_id": "a2", "moment": f"transition:{row.pk}:before"})
    assert answer.status_code == 201, answer.content
    assert json.loads(script.get("/agents/a2").json()["state_data"]) == {"step": 1}
