"""What else the API can do: transitions, snapshots, restores, events, tasks, sessions, the past."""

import codecs
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from statestore import models
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.tasks import edits
from tests.api.conftest import APPROVING, Script, script_of
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db
EVENT = {"event_type": "note", "session_id": "s1", "actor_type": "Agent", "actor_id": "a1", "content": "hello"}


# Snapshots and restores


def test_one_call_puts_a_snapshot_back_and_one_call_undoes_it(script: Script):
    agent = make_agent("a1", state={"step": 2})
    snapshot = make_snapshot(agent, '{"step":1.0}')
    done = script.post(f"/snapshots/{snapshot.pk}/restore", {"reason": "lost its goal"})
    assert done.status_code == 201, done.content
    assert script.get("/agents/a1").json()["state_data"] == '{"step":1.0}'
    assert done.json()["hash_after"] == models.sha256('{"step":1.0}')
    undone = script.post(f"/restores/{done.json()['address']}/undo", {})
    assert undone.status_code == 201, undone.content
    assert script.get("/agents/a1").json()["state"] == {"step": 2}
    assert script.get(f"/restores/{done.json()['address']}").json()["undone_by"] == undone.json()["id"]


def test_a_restore_of_what_has_changed_is_refused_with_what_it_is_now(script: Script):
    agent = make_agent("a1")
    snapshot = make_snapshot(agent, {"step": 0})
    seen = script.get("/agents/a1")["ETag"]
    script.put("/agents/a1", {"state": {"step": 2}})
    answer = script.post(f"/snapshots/{snapshot.pk}/restore", {}, if_match=seen)
    assert (answer.status_code, answer["ETag"]) == (412, script.get("/agents/a1")["ETag"])
    assert not models.Restore.objects.exists()


def test_an_undo_overwrites_no_change_that_nobody_has_seen(script: Script):
    snapshot = make_snapshot(make_agent("a1"), {"step": 0})
    done = script.post(f"/snapshots/{snapshot.pk}/restore", {}).json()
    script.put("/agents/a1", {"state": {"step": 9}})
    assert script.post(f"/restores/{done['address']}/undo", {}).status_code == 409
    etag = script.get("/agents/a1")["ETag"]
    assert script.post(f"/restores/{done['address']}/undo", {}, if_match=etag).status_code == 201


def test_a_plan_is_previewed_saved_approved_and_applied(script: Script, people: dict[str, User]):
    agent = make_agent("a1", state={"step": 2, "goal": "x"})
    snapshot = make_snapshot(agent, {"step": 1, "goal": "y"})
    wish = {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}", "paths": ["/goal"]}
    preview = script.post("/restores", {**wish, "dry_run": True}).json()
    assert preview["state"] == {"step": 2, "goal": "y"}
    assert [(change["kind"], change["path"], change["before"]) for change in preview["changes"]] == [
        ("replaced", "/goal", "x")
    ]
    assert not models.SavedPlan.objects.exists()
    plan = script.post("/restores", {**wish, "reason": "r"})
    assert plan.status_code == 201, plan.content
    address = plan.json()["address"]
    assert plan.json()["state"] == "planned"
    own, other = (script_of(people[name], *APPROVING) for name in ("administrator", "operator"))
    assert own.post(f"/restores/{address}/approve").status_code == 409
    assert other.post(f"/restores/{address}/approve").json()["approved_by"] == "operator"
    assert script.post(f"/restores/{address}/apply").json()["state"] == "applied"
    assert script.get("/agents/a1").json()["state"] == {"step": 2, "goal": "y"}
    assert script.post(f"/restores/{address}/apply").status_code == 409


def test_a_plan_that_the_agent_outran_is_a_conflict(script: Script):
    snapshot = make_snapshot(make_agent("a1"), {"step": 0})
    plan = script.post("/restores", {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}"}).json()
    script.put("/agents/a1", {"state": 3})
    assert script.post(f"/restores/{plan['address']}/apply").status_code == 409


def test_a_snapshot_is_taken_read_and_deleted(script: Script):
    make_agent("a1", state="text")
    made = script.post("/agents/a1/snapshots", {"description": "d", "expires_at": 2**33})
    assert made.status_code == 201
    found = script.get(f"/snapshots/{made.json()['address']}")
    assert (found.json()["state_data"], found["ETag"]) == ("text", made["ETag"])
    assert [row["id"] for row in script.get("/agents/a1/snapshots").json()["items"]] == [made.json()["id"]]
    assert script.delete(f"/snapshots/{made.json()['address']}", if_match='"' + "0" * 64 + '"').status_code == 412
    assert script.delete(f"/snapshots/{made.json()['address']}").status_code == 204


# The past


def test_states_differences_and_origins_are_told(script: Script):
    agent = make_agent("a1", state={"step": 2})
    first = make_transition(agent, {"step": 0}, {"step": 1}, timestamp=NOW - 20)
    second = make_transition(agent, {"step": 1}, {"step": 2}, timestamp=NOW - 10)
    known = script.get(f"/agents/a1/state?moment=transition:{first.pk}:after").json()
    assert (known["state"], known["is_exact"]) == ({"step": 1}, True)
    found = script.get(f"/agents/a1/diff?from=transition:{first.pk}:before&to=now").json()
    assert [(change["path"], change["before"], change["after"]) for change in found["changes"]] == [("/step", 0, 2)]
    history = script.get("/agents/a1/history?path=/step").json()
    assert [(item["before"], item["after"], item["origin"]["transition_id"]) for item in history["items"]] == [
        (1, 2, second.pk),
        (0, 1, first.pk),
    ]
    assert script.get("/agents/a1/blame").json()["origins"]["/step"]["transition_id"] == second.pk
    entries = script.get("/agents/a1/timeline").json()["items"]
    assert [entry["transition"]["id"] for entry in entries] == [second.pk, first.pk]
    row = script.get(f"/transitions/{first.pk}").json()
    assert (row["state_before"], row["state_after_text"]) == ({"step": 0}, '{"step": 1}')


def test_a_transition_is_recorded_as_it_was_sent(script: Script):
    make_agent("a1")
    raw = b'{"state_before": {"n": 1e400}, "state_after_text": "no json", "reason": "r"}'
    assert script("POST", "/agents/a1/transitions", raw).status_code == 201
    row = models.Transition.objects.get()
    assert (row.state_before, row.state_after) == ('{"n": 1e400}', "no json")


# Events


def test_an_event_is_saved_over_one_of_the_same_id(script: Script):
    assert script.post("/events", {**EVENT, "id": "e1"}).status_code == 201
    assert script.post("/events", {**EVENT, "id": "e1", "content": "again"}).status_code == 201
    assert [row["content"] for row in script.get("/events").json()["items"]] == ["again"]
    assert script.get("/events/e1").json()["content"] == "again"


def test_of_a_batch_what_can_be_is_saved_and_the_rest_told(script: Script):
    bad = [{**EVENT, "actor_type": "Robot"}, {**EVENT, "colour": "red"}, 7, {**EVENT, "timestamp": "noon"}]
    answer = script.post("/events/batch", {"events": [EVENT, *bad, EVENT]})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["saved"], [one["position"] for one in found["refused"]]) == (2, [1, 2, 3, 4])
    assert "Robot" in found["refused"][0]["reason"]
    assert [found["ids"][n] is None for n in range(6)] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"id": ""}, "id"), ({"id": "x" * 501}, "id"), ({"event_type": ""}, "event_type"), ({"timestamp": -5}, "1970"),
     ({"timestamp": 2**62}, "9999"), ({"git_commit": "x" * 201}, "git_commit"), ({"content": "a\0b"}, "NUL"),
     ({"content": "a\ud800b"}, "surrogate"), ({"metadata": "\0"}, "NUL")],
)  # fmt: skip
@pytest.mark.parametrize("as_lines", [False, True])
def test_an_event_of_a_batch_is_checked_as_one_that_is_sent_alone(
    script: Script, change: dict[str, Any], words: str, as_lines: bool
):
    events = [EVENT, {**EVENT, **change}, EVENT]
    body: Any = b"\n".join(json.dumps(one).encode() for one in events) if as_lines else {"events": events}
    media = "application/x-ndjson" if as_lines else "application/json"
    answer = script("POST", "/events/batch", body, content_type=media)
    assert (answer.status_code, answer.json()["saved"]) == (200, 2)
    (refused,) = answer.json()["refused"]
    assert (refused["position"], words in refused["reason"]) == (1, True)
    assert script.post("/events", {**EVENT, **change}).status_code == 422
    whole = script.post("/events/batch", {"events": events, "all_or_nothing": True})
    assert (whole.status_code, whole.json()["errors"][0]["pointer"]) == (422, "/events/1")


def test_a_line_that_is_no_json_says_so(script: Script):
    body = b'{"a": 1, "a": 2}\n{"a": \n'
    refused = script("POST", "/events/batch", body, content_type="application/x-ndjson").json()["refused"]
    assert ["twice" in refused[0]["reason"], "not JSON" in refused[1]["reason"]] == [True, True]


def test_a_byte_order_mark_ahead_of_a_body_is_no_part_of_it(script: Script):
    state = '{"a":\ufeff1.0}'
    bodies = ['{"state": {"a":1e400}}', json.dumps({"state_data": state}, ensure_ascii=False)]
    for body, stored in zip(bodies, ['{"a":1e400}', state], strict=True):
        assert script.put("/agents/a1", codecs.BOM_UTF8 + body.replace(" ", "\r\n").encode()).status_code in {200, 201}
        assert models.AgentState.objects.get().state_data == stored
    lines = "\r\n".join(json.dumps({**EVENT, "id": f"e{number}"}) for number in range(2))
    answer = script("POST", "/events/batch", codecs.BOM_UTF8 + lines.encode(), content_type="application/x-ndjson")
    assert (answer.json()["saved"], answer.json()["refused"]) == (2, [])
    twice = script.put("/agents/a1", codecs.BOM_UTF8 * 2 + b"{}")
    assert twice.status_code == 400
    assert script.put("/agents/a1", codecs.BOM_UTF8 + b'{\n "state": }').json()["errors"][0]["column"] == 11


def test_events_come_newest_first_by_their_time(script: Script):
    for at in (NOW, 1000, NOW + 1):
        script.post("/events", {**EVENT, "timestamp": at})
    for query in ("", "?actor=a1", "?type=note", f"?session={EVENT['session_id']}", "?actor_type=Agent"):
        items = script.get(f"/events{query}").json()["items"]
        assert [one["timestamp_seconds"] for one in items] == [NOW + 1, NOW, 1000], query


def test_a_state_may_nest_as_deep_as_one_that_is_shown(script: Script):
    for levels, status in ((100, 201), (101, 422)):
        text = "[" * levels + "]" * levels
        answer = script("PUT", f"/agents/a{levels}", b'{"state": ' + text.encode() + b"}")
        assert answer.status_code == status, answer.content
    assert "100 levels" in answer.json()["detail"]
    assert answer.json()["errors"][0]["column"] > 100


def test_all_or_nothing_is_one_transaction(script: Script):
    answer = script.post("/events/batch", {"events": [EVENT, {}], "all_or_nothing": True})
    assert answer.status_code == 422
    assert "Event 1" in answer.json()["detail"]
    assert not models.Event.objects.exists()


def test_a_batch_may_come_as_lines_or_as_a_list(script: Script):
    lines = "\n".join(json.dumps(EVENT) for _ in range(3)) + "\n{broken\n"
    found = script("POST", "/events/batch", lines.encode(), content_type="application/x-ndjson").json()
    assert (found["saved"], [one["position"] for one in found["refused"]]) == (3, [3])
    assert script.post("/events/batch", [EVENT]).json()["saved"] == 1


def test_more_than_ten_thousand_events_are_refused(script: Script):
    assert script.post("/events/batch", {"events": [EVENT] * 10_001}).status_code == 422
    assert not models.Event.objects.exists()


def test_events_are_filtered_and_found(script: Script):
    make_event(event_type="commit", timestamp=5, content="needle", git_commit="abc")
    make_event(actor_type="User")
    for query in ("type=commit", "commit=abc", "until=6", "actor_type=Agent"):
        assert [row["content"] for row in script.get(f"/events?{query}").json()["items"]] == ["needle"], query
    assert [row["content"] for row in script.get("/events/search?q=NEED").json()["items"]] == ["needle"]


# Tasks and sessions


def test_a_task_is_made_changed_and_deleted(script: Script):
    first = make_task("first")
    made = script.post("/tasks", {"title": "T", "dependencies": [first.pk], "metadata": {"n": 1}})
    assert made.status_code == 201, made.content
    assert (made.json()["waits_for"], made.json()["metadata"]) == ([first.pk], '{"n": 1}')
    url = f"/tasks/{made.json()['address']}"
    assert script.patch(url, {"status": "Done"}, if_match=made["ETag"]).json()["status"] == "Done"
    assert script.patch(url, {"status": "Todo"}, if_match=made["ETag"]).status_code == 412
    assert script.put(url, {"title": "New"}).json()["status"] == "Done"
    assert script.put(f"/tasks/{first.pk}", {"title": "F", "dependencies": [made.json()["id"]]}).status_code == 422
    assert script.delete(url).status_code == 204
    assert [entry.action for entry in models.AuditEntry.objects.order_by("id")] == ["create", "move", "edit", "delete"]


def test_a_task_of_an_id_that_is_taken_is_a_conflict(script: Script):
    script.post("/tasks", {"id": "t", "title": "T"})
    assert script.post("/tasks", {"id": "t", "title": "U"}).status_code == 409
    assert script.put("/tasks/new", {"title": "N"}).status_code == 201


def test_a_session_is_opened_closed_and_edited(script: Script):
    made = script.post("/sessions", {"agent_id": "a1", "id": "s1"})
    assert made.status_code == 201
    assert [row["id"] for row in script.get("/sessions?open=true").json()["items"]] == ["s1"]
    assert script.post("/sessions/s1/end", {}).json()["status"] == "completed"
    assert script.post("/sessions/s1/end", {}).status_code == 409
    assert script.patch("/sessions/s1", {"ended_at": 1}).status_code == 422
    assert script.patch("/sessions/s1", {"status": "x"}).json()["status"] == "x"
    assert script.put("/sessions/s2", {"agent_id": "a1"}).status_code == 201
    assert script.delete("/sessions/s2").status_code == 204


def test_sessions_that_only_events_name_are_told_too(script: Script):
    session = make_session(make_agent("a1"), id="kept", started_at=NOW, ended_at=None)
    for at, actor in ((NOW + 5, "a1"), (NOW + 9, "a2"), (NOW + 9, "a2")):
        make_event(session_id="spoken", timestamp=at, actor_id=actor, actor_type="Agent")
    spoken, kept = script.get("/sessions").json()["items"]
    assert (kept["id"], kept["is_recorded"], kept["last_at_seconds"]) == (session.pk, True, NOW)
    assert (spoken["id"], spoken["is_recorded"], spoken["agent_id"], spoken["events"]) == ("spoken", False, "a2", 3)
    assert [spoken[f"{name}_seconds"] for name in ("started_at", "ended_at", "last_at")] == [NOW + 5, NOW + 9, NOW + 9]
    assert spoken["took_part"][0] == {"actor_type": "Agent", "actor_id": "a2", "events": 2}
    one = script.get("/sessions/spoken")
    assert one.status_code == 200
    assert one.json().items() <= spoken.items()
    assert script.get("/sessions/spoken", if_none_match=one["ETag"]).status_code == 304
    assert script.patch("/sessions/spoken", {"status": "x"}).status_code == 404
    first = script.get("/sessions?limit=1").json()
    assert [one["id"] for one in script.get(f"/sessions?limit=1&cursor={first['next']}").json()["items"]] == ["kept"]
    assert [one["id"] for one in script.get("/sessions?status=not recorded").json()["items"]] == ["spoken"]
    make_event(session_id="alone", actor_type="User", actor_id="u")
    assert script.get("/sessions/alone").json()["agent_id"] is None
    (only,) = script.get("/sessions?open=true").json()["items"]
    assert only == kept


@pytest.mark.sqlite
def test_a_session_whose_words_are_blobs_is_listed(script: Script):
    make_event(session_id="s", actor_id="a1", actor_type="Agent")
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET actor_id = x'6100ff', event_type = x'ff'")
    (one,) = script.get("/sessions").json()["items"]
    assert one["took_part"][0]["actor_id"].startswith("a\0")
    assert script.get("/sessions/s").status_code == 200


def test_more_sessions_than_are_sorted_together_are_paged_on(script: Script, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("statestore.sessions.limits.WALKED_SESSIONS", 3)
    for number in range(8):
        make_event(session_id=f"s{number}", timestamp=NOW + number)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = script.get(f"/sessions?limit=2&cursor={cursor}").json()
        found += [one["id"] for one in page["items"]]
        cursor = page["next"]
    assert sorted(found) == [f"s{number}" for number in range(8)]


def test_what_a_script_does_to_tasks_and_sessions_is_kept_before_and_after_and_taken_back(script: Script):
    task = make_task("T", status="Todo")
    session = make_session(make_agent("a1"), ended_at=None, status="active")
    seen = {row: models.row_hash(row) for row in (task, session)}
    assert script.patch(f"/tasks/{task.pk}", {"status": "Done"}).status_code == 200
    assert script.post(f"/sessions/{session.pk}/end", {"status": "failed"}, if_match=f'"{"0" * 64}"').status_code == 412
    assert script.post(f"/sessions/{session.pk}/end", {"status": "failed"}).status_code == 200
    end, move = models.AuditEntry.objects.newest_first()
    assert (move.action, move.before, move.after) == ("move", '{"status": "Todo"}', '{"status": "Done"}')
    assert (end.action, json.loads(end.before), json.loads(end.after)["status"]) == (
        "end", {"ended_at": None, "status": "active"}, "failed",
    )  # fmt: skip
    assert {end.actor, move.actor} == {"administrator"}
    assert "(token dss." in end.ip_address
    for entry in (end, move):
        edits.revert(entry, by=SYSTEM)
    task.updated_at = models.Task.objects.get().updated_at
    assert {row: models.row_hash(row) for row in (models.Task.objects.get(), models.Session.objects.get())} == {
        task: models.row_hash(task), session: seen[session],
    }  # fmt: skip


def test_a_filter_of_tasks_is_not_a_field_of_one(script: Script):
    task = make_task("Parser")
    answer = script.patch(f"/tasks/{task.pk}", {"q": "Parser"})
    assert answer.json()["errors"] == [{"where": "body", "pointer": "/q", "detail": "Unknown field."}]


# What comes in


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"state": NaN}', 422, "NaN"),
        (b'{"state": {"a": [1, Infinity]}}', 422, "Infinity"),
        (b'{"state": ' + b"[" * 200 + b"]" * 200 + b"}", 422, "100 levels"),
        (b'{"state": "\\ud800"}', 422, "surrogate"),
        (b'{"state_data": "a\\u0000"}', 422, "NUL"),
        (b'{"state": 1, "state": 2}', 422, "twice"),
        (b'{"state": 1', 400, "line 1"),
        (b'{"state": "\xff"}', 400, "UTF-8"),
        (b"[]", 422, "dictionary"),
        (b'{"state": 1, "state_data": "x"}', 422, "not both"),
        (b'{"reason": "x"}', 422, "state"),
        (b'{"state": 1, "version": 1.5}', 422, "integer"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(script: Script, body: bytes, status: int, words: str):
    answer = script("PUT", "/agents/a1", body)
    assert answer.status_code == status, answer.content
    found = answer.json()
    assert words in found["detail"], found
    assert found["errors"][0]["where"] == "body"
    assert found["remedy"]
    assert not models.AgentState.objects.exists()


def test_an_escaped_nul_inside_of_a_json_state_is_kept_as_it_was_typed(script: Script):
    assert script("PUT", "/agents/a1", b'{"state": {"a": "\\u0000"}}').status_code == 201
    assert models.AgentState.objects.get().state_data == '{"a": "\\u0000"}'


def test_too_large_a_state_is_refused(script: Script):
    body = b'{"state_data": "' + b"x" * (50 * 1024 * 1024 + 1) + b'"}'
    assert script("PUT", "/agents/a1", body).status_code == 413
    assert script("PUT", "/agents/a1", b'{"state_data": "' + b"x" * (65 * 1024 * 1024) + b'"}').status_code == 413


def test_another_form_than_json_is_refused(script: Script):
    answer = script("POST", "/agents/a1/snapshots", b"a=b", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415


@pytest.mark.parametrize("path", ["/agents?limit=0", "/agents?limit=1001", "/agents?cursor=%20", "/agents?cursor=abc"])
def test_what_a_list_cannot_be_asked_is_refused(script: Script, path: str):
    assert script.get(path).status_code == 422


# What else


def test_head_is_get_without_the_body(script: Script):
    make_agent("a1")
    answer = script("HEAD", "/agents/a1")
    assert (answer.status_code, answer.content, answer["ETag"]) == (200, b"", script.get("/agents/a1")["ETag"])


def test_what_there_is_not_is_a_problem_too(script: Script):
    for method, path, status in (("GET", "/nothing", 404), ("PATCH", "/agents", 405), ("GET", "/agents/~*", 404)):
        answer = script(method, path)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert "GET" in script("PATCH", "/agents")["Allow"]


def test_each_kind_of_problem_explains_itself(script: Script):
    from statestore.api.problems import KINDS

    for name in KINDS:
        assert script.get(f"/problems/{name}").json()["remedy"]


def test_a_token_may_call_so_often(script: Script, settings: Any):
    settings.API_RATE = (3, 3600)
    answers = [script.get("/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0]["RateLimit"].startswith('"token";r=2;t=')
    assert int(answers[3]["Retry-After"]) > 0


def test_a_list_asks_a_constant_number_of_questions_and_never_for_states(
    script: Script, django_assert_num_queries: Any, on_sqlite: bool
):
    for number in range(30):
        agent = make_agent(f"a{number}")
        make_snapshot(agent)
    script.get("/agents")
    # Events come by the search: with what its index does not cover yet, or within a bound of time. So do sessions.
    # Whether there are sources is one query more, where a list has rows.
    counts = {"/agents": 3, "/snapshots": 2, "/events": 3 if on_sqlite else 5, "/sessions": 3}
    for path in ("/agents", "/snapshots", "/events", "/tasks", "/sessions", "/restores", "/batches", "/edits"):
        with django_assert_num_queries(counts.get(path, 1), using=store_alias()):
            assert "state_data" not in script.get(path).content.decode()


def test_the_answers_are_those_of_the_description(script: Script, description: dict[str, Any]):
    """Each answer that tests see is checked against the schemas by the fuzzer; here each noun's list is."""
    agent = make_agent("a1")
    make_transition(agent)
    make_snapshot(agent)
    make_event()
    make_task()
    make_session(agent)
    assert description["openapi"] == "3.1.0"
    for path in ("/agents", "/snapshots", "/events", "/tasks", "/sessions"):
        schema = description["paths"][f"/api/v1{path}"]["get"]["responses"][200]["content"]["application/json"][
            "schema"
        ]
        name = schema["$ref"].split("/")[-1]
        row = description["components"]["schemas"][name]["properties"]["items"]["items"]["$ref"].split("/")[-1]
        properties = set(description["components"]["schemas"][row]["properties"])
        assert set(script.get(path).json()["items"][0]) == properties, path


@pytest.mark.parametrize("query", ["q=%00", "status=%00", "namespace=a%00b"])
def test_a_nul_in_a_filter_finds_nothing_or_is_refused(script: Script, query: str):
    make_agent("a1")
    for path in (
        f"/agents?{query}",
        "/agents/~AA",
        "/events?type=%00",
        "/events/search?q=%00",
        "/tasks?assigned_to=%00",
    ):
        assert script.get(path).status_code in (200, 404, 422), path


def test_what_changed_across_agents_is_listed_as_the_page_has_it(script: Script):
    agent = make_agent("a1")
    transition = make_transition(agent, {"n": 1}, {"n": 22}, reason="lost", timestamp=NOW)
    make_snapshot(agent, description="kept", created_at=NOW + 1)
    make_transition("a2", reason="other", timestamp=NOW + 5000)
    listed = script.get(f"/changes?start={NOW}&end={NOW + 10}").json()
    kept, lost = listed["items"]
    assert (kept["kind"], kept["text"]) == ("snapshot", "kept")
    assert lost | {"url": None, "page": None} == {
        "kind": "transition", "id": transition.pk, "at": lost["at"], "at_seconds": NOW, "agent_id": "a1",
        "text": "lost", "by": None, "size_before": 8, "size_after": 9, "url": None, "page": None,
    }  # fmt: skip
    assert script.get(lost["url"].removeprefix("/api/v1")).json()["reason"] == "lost"
    first = script.get(f"/changes?start={NOW}&end={NOW + 10}&limit=1").json()
    second = script.get(f"/changes?start={NOW}&end={NOW + 10}&limit=1&cursor={first['next']}").json()
    assert first["items"] + second["items"] == listed["items"]
    assert script.get(f"/changes?start={NOW}&end=5").status_code == 422
    assert script.get("/changes?agent=nowhere").status_code == 404
    assert [one["text"] for one in script.get(f"/changes?start=0&end={NOW + 9000}&agent=a2").json()["items"]] == [
        "other"
    ]
