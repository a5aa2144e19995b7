"""The admin: tasks and sessions are edited with care, everything else is only looked at."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db

READ_ONLY = ["agentstate", "transition", "snapshot", "event"]


def task_form(client: Client, task: models.Task, **changes: Any) -> dict[str, Any]:
    """Return what the browser would send for a task that is shown, with some fields changed."""
    form = client.get(f"/admin/statestore/task/{task.pk}/change/").context["adminform"].form
    shown = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    return {name: "" if value is None else value for name, value in shown.items()} | changes


def save(client: Client, task: models.Task, **changes: Any):
    return client.post(f"/admin/statestore/task/{task.pk}/change/", task_form(client, task, **changes))


def errors(response: Any) -> str:
    return str(response.context["adminform"].form.errors)


def test_a_task_is_created_edited_and_deleted_and_each_is_audited(manager: Client):
    manager.post(
        "/admin/statestore/task/add/",
        {"title": "Parser", "status": "Todo", "priority": "high", "complexity": "simple", "description": "",
         "assigned_to": "", "dependencies": "", "metadata": '{"a": 1}'},
    )  # fmt: skip
    task = models.Task.objects.get()
    assert (task.title, task.priority, task.dependencies, task.metadata) == ("Parser", "high", "[]", '{"a": 1}')
    assert save(manager, task, status="Done").status_code == 302
    task.refresh_from_db()
    assert task.status == "Done"
    manager.post(f"/admin/statestore/task/{task.pk}/delete/", {"post": "yes"})
    assert not models.Task.objects.exists()
    entries = list(models.AuditEntry.objects.order_by("id"))
    assert [entry.action for entry in entries] == ["create", "move", "delete"]
    assert {entry.actor for entry in entries} == {"manager"}
    assert (entries[1].before, entries[1].after) == ('{"status": "Todo"}', '{"status": "Done"}')


def test_dependencies_are_edited_as_lines_and_become_edges(manager: Client):
    first, second = make_task("First"), make_task("Second")
    save(manager, second, dependencies=f"{first.pk}\r\n\r\n{first.pk}")
    second.refresh_from_db()
    assert json.loads(second.dependencies) == [first.pk]
    assert models.TaskDependency.objects.get().depends_on_id == first.pk


def test_a_circle_of_dependencies_is_refused_in_the_form(manager: Client):
    first, second = make_task("First"), make_task("Second")
    save(manager, second, dependencies=first.pk)
    response = save(manager, first, dependencies=second.pk)
    assert "Circular dependency" in errors(response)
    assert models.TaskDependency.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metadata": "{not json"}, "This is not JSON"),
        ({"dependencies": "nowhere"}, "Task “nowhere” does not exist"),
        ({"status": "gone"}, "Select a valid choice"),
        ({"title": ""}, "required"),
    ],
)
def test_what_cannot_be_is_refused_in_the_form(manager: Client, change: dict[str, str], words: str):
    task = make_task("Parser")
    assert words in errors(save(manager, task, **change))
    assert not models.AuditEntry.objects.exists()


def test_a_task_that_the_orchestrator_saved_meanwhile_is_not_overwritten(manager: Client):
    task = make_task("Parser")
    form = task_form(manager, task, title="Mine")
    models.Task.objects.update(title="Theirs")
    response = manager.post(f"/admin/statestore/task/{task.pk}/change/", form)
    assert "The row has changed since you read it" in errors(response)
    assert models.Task.objects.get().title == "Theirs"


def test_saving_keeps_what_nobody_touched_as_it_was(manager: Client):
    task = make_task("Parser", description="two\nlines", metadata='{"a":  1}', status="Waiting", assigned_to=None)
    form = task_form(manager, task, title="Parser 2", description="two\r\nlines")
    assert manager.post(f"/admin/statestore/task/{task.pk}/change/", form).status_code == 302
    task.refresh_from_db()
    assert (task.description, task.metadata, task.status) == ("two\nlines", '{"a":  1}', "Waiting")
    assert task.assigned_to is None


def test_a_session_shows_dates_and_cannot_end_before_it_starts(manager: Client):
    session = make_session("a1", started_at=NOW, ended_at=None)
    address = f"/admin/statestore/session/{session.pk}/change/"
    page = manager.get(address)
    assert "2026-09-21" in page.content.decode()
    form = {
        "etag": models.row_hash(session), "agent_id": "a1", "status": "active", "metadata": "",
        "started_at_0": "2026-09-21", "started_at_1": "14:13:20", "ended_at_0": "2026-09-20", "ended_at_1": "00:00:00",
    }  # fmt: skip
    assert "cannot end before it started" in errors(manager.post(address, form))
    assert manager.post(address, form | {"ended_at_0": "2026-09-22"}).status_code == 302
    session.refresh_from_db()
    assert (session.started_at, session.ended_at) == (NOW, 1_790_035_200)
    assert models.AuditEntry.objects.get().action == "edit"


def test_a_row_that_a_form_could_not_send_back_is_read_only(manager: Client, on_sqlite: bool):
    if not on_sqlite:
        return
    task = make_task("Parser", description="bad \udcff bytes")
    page = manager.get(f"/admin/statestore/task/{task.pk}/change/").content.decode()
    assert 'name="_save"' not in page


@pytest.mark.parametrize("noun", READ_ONLY)
def test_what_agents_did_is_read_only(people: dict[str, User], manager: Client, noun: str):
    agent = make_agent("a1")
    rows = {
        "agentstate": agent, "transition": make_transition(agent), "snapshot": make_snapshot(agent),
        "event": make_event(),
    }  # fmt: skip
    address = f"/admin/statestore/{noun}/"
    assert manager.get(address).status_code == 200
    assert manager.get(f"{address}add/").status_code == 403
    assert manager.get(f"{address}{rows[noun].pk}/change/").status_code == 200
    assert manager.post(f"{address}{rows[noun].pk}/change/", {"name": "x"}).status_code == 403
    assert manager.get(f"{address}{rows[noun].pk}/delete/").status_code == 403


@pytest.mark.parametrize("noun", [*READ_ONLY, "task", "session"])
def test_lists_ask_a_constant_number_of_questions_and_never_for_states(manager: Client, noun: str):
    counts = []
    manager.get(f"/admin/statestore/{noun}/")  # The first look of all asks whether the store is ready.
    for _ in range(2):
        for _ in range(5):
            agent = make_agent()
            make_transition(agent)
            make_snapshot(agent)
            make_event()
            make_task()
            make_session(agent)
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            manager.get(f"/admin/statestore/{noun}/")
        counts.append(len(queries))
        asked = " ".join(query["sql"] for query in queries)
        assert "COUNT(*)" not in asked
        for column in ("state_before", "state_after"):
            assert f'"{column}"' not in asked
    assert counts[0] == counts[1]


def test_an_operator_is_not_staff(operator: Client):
    assert operator.get("/admin/").status_code == 302


def test_selected_sessions_are_ended_now_each_with_its_entry(manager: Client):
    agent = make_agent("a")
    for number in range(2):
        make_session(agent, id=f"open-{number}", ended_at=None, status="active")
    make_session(agent, id="ended", status="failed")
    chosen = {"action": "end_sessions", "_selected_action": ["open-0", "open-1", "ended"]}
    html = manager.post("/admin/statestore/session/", chosen, follow=True).content.decode()
    assert "2 sessions ended. 1 had ended before." in html
    assert {session.status for session in models.Session.objects.filter(pk__startswith="open")} == {"completed"}
    assert not models.Session.objects.filter(ended_at=None).exists()
    assert [(entry.action, entry.row_id) for entry in models.AuditEntry.objects.order_by("row_id")] == [
        ("end", "open-0"), ("end", "open-1"),
    ]  # fmt: skip


def test_a_sessions_status_is_one_of_the_known_ones_or_the_stored_one(manager: Client):
    session = make_session(make_agent("a"), status="odd")
    address = f"/admin/statestore/session/{session.pk}/change/"
    form = manager.get(address).context["adminform"].form
    assert [value for value, _ in form.fields["status"].choices] == ["active", "completed", "failed", "odd"]
    sent = {
        "etag": models.row_hash(session), "agent_id": "a", "status": "odd", "metadata": "",
        "started_at_0": "2026-09-21", "started_at_1": "14:13:20", "ended_at_0": "2026-09-22", "ended_at_1": "00:00:00",
    }  # fmt: skip
    assert manager.post(address, sent | {"status": "wish"}).status_code == 200
    assert manager.post(address, sent).status_code == 302, "What is stored may stay."
    assert manager.get("/admin/statestore/session/add/").context["adminform"].form["status"].value() == "active"
