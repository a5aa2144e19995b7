"""Edits by script: what one changed, and how it is taken back; by nobody who may not see the row."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.tasks import service as task_service
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_session, make_snapshot, make_task

pytestmark = pytest.mark.django_db
ANNA = Actor("anna")


def edited(task: models.Task | str, **columns: Any) -> int:
    """Edit a task and return the number of the edit."""
    pk = task if isinstance(task, str) else task.pk
    task_service.save_task(store_alias(), {"id": pk, **columns}, by=ANNA)
    return int(models.AuditEntry.objects.newest_first()[0].pk)


def test_an_edit_is_told_column_by_column_and_taken_back(script: Script):
    task = make_task("Parser")
    number = edited(task, title="Lexer")
    edited(task, status="Done")
    found = script.get(f"/edits/{number}").json()
    assert (found["before"]["title"], found["after"]["title"], found["actor"]) == ("Parser", "Lexer", "anna")
    assert (found["row"], found["can_be_reverted"]) == (f"/api/v1/tasks/{task.pk}", True)
    done = script.post(f"/edits/{number}/revert")
    assert (done.status_code, done.json()["reverts"], done.json()["after"]["title"]) == (201, number, "Parser")
    assert script.get(done["Location"].removeprefix("/api/v1"))["ETag"] == done["ETag"]
    task.refresh_from_db()
    assert (task.title, task.status) == ("Parser", "Done")
    assert models.AuditEntry.objects.newest_first()[0].actor == "administrator"


def test_an_edit_that_a_later_one_overtook_is_a_conflict(script: Script):
    task = make_task("Parser")
    number = edited(task, title="Lexer")
    edited(task, title="Scanner")
    refused = script.post(f"/edits/{number}/revert")
    assert (refused.status_code, "title" in refused.json()["detail"]) == (409, True)
    assert script.get(f"/tasks/{task.pk}").json()["title"] == "Scanner"


def test_only_the_row_that_was_seen_is_changed_back(script: Script):
    task = make_task("Parser")
    number = edited(task, title="Lexer")
    seen = script.get(f"/tasks/{task.pk}")["ETag"]
    edited(task, status="Done")
    refused = script.post(f"/edits/{number}/revert", if_match=seen)
    assert (refused.status_code, refused["ETag"]) == (412, script.get(f"/tasks/{task.pk}")["ETag"])
    assert script.post(f"/edits/{number}/revert", if_match=refused["ETag"]).status_code == 201


def test_what_was_deleted_comes_back_and_what_was_made_goes(script: Script):
    script.post("/tasks", {"id": "t1", "title": "made"})
    script.delete("/tasks/t1")
    deletion, creation = script.get("/edits?row=t1").json()["items"]
    assert (deletion["after"], creation["before"]) == (None, None)
    assert script.post(f"/edits/{deletion['id']}/revert").status_code == 201
    assert script.get("/tasks/t1").json()["title"] == "made"
    assert script.post(f"/edits/{creation['id']}/revert").json()["verb"] == "delete"
    assert script.get("/tasks/t1").status_code == 404


def test_a_repeated_revert_reverts_once(script: Script):
    number = edited(make_task("Parser"), title="Lexer")
    answers = [script.post(f"/edits/{number}/revert", idempotency_key="k").content for _ in range(2)]
    assert answers[0] == answers[1]
    assert models.AuditEntry.objects.count() == 2


def test_edits_are_listed_by_noun_and_nothing_else_is_one(script: Script):
    agent = make_agent("a1")
    task, session = make_task(), make_session(agent, ended_at=None)
    edited(task, title="New")
    script.post(f"/sessions/{session.pk}/end")
    script.post("/agents/a1/snapshots")
    listed = script.get("/edits?limit=1").json()
    assert [one["verb"] for one in listed["items"]] == ["end"]
    assert [one["noun"] for one in script.get(f"/edits?cursor={listed['next']}").json()["items"]] == ["task"]
    assert [one["row_id"] for one in script.get("/edits?noun=task").json()["items"]] == [task.pk]
    snapshot = models.AuditEntry.objects.with_action("snapshot").get()
    assert script.get(f"/edits/{snapshot.pk}").status_code == 404
    assert script.get("/edits/0").status_code == script.get("/edits/x").status_code == 422


@pytest.mark.sqlite
def test_text_that_is_none_is_shown_replaced(script: Script):
    number = edited(make_task(title="a\udc80b"), title="c")
    assert script.get(f"/edits/{number}").json()["before"]["title"] == "a\ufffdb"


def test_who_may_not_change_a_noun_takes_none_of_its_edits_back(people: dict[str, User]):
    number = edited(make_task("Parser"), title="Lexer")
    operator = script_of(people["operator"])
    refused = operator.post(f"/edits/{number}/revert")
    assert (refused.status_code, "change_task" in refused.json()["detail"]) == (403, True)


def test_a_token_of_a_namespace_sees_its_own_and_cannot_give_them_away(people: dict[str, User]):
    make_agent("a1", namespace="n")
    make_agent("b1", namespace="m")
    own = script_of(people["administrator"], namespaces=["n"])
    task = make_task(assigned_to="b1")
    given = edited(task, assigned_to="a1")
    edited(make_task("other", assigned_to="b1"), title="secret")
    make_snapshot("b1")
    assert [one["id"] for one in own.get("/edits").json()["items"]] == [given]
    assert [one["id"] for one in own.get("/audit").json()["items"]] == [given]
    assert own.post(f"/edits/{given}/revert").status_code == 403
    task.refresh_from_db()
    assert task.assigned_to == "a1"


def test_an_audit_entry_about_a_task_named_as_an_agent_is_not_about_the_agent(people: dict[str, User]):
    make_agent("x", namespace="n")
    edited("x", title="secret")
    own = script_of(people["administrator"], namespaces=["n"])
    assert json.loads(own.get("/audit").content)["items"] == []


def test_a_range_of_time_that_ends_before_it_starts_is_refused(people: dict[str, User]):
    answer = script_of(people["viewer"]).get("/audit?start=20&end=10")
    assert answer.status_code == 422
    assert "The end is before the start" in answer.json()["detail"], answer.json()
