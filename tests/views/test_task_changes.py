"""Tasks changed in place, on their page and on the board; each change with its undo."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import make_agent, make_task
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


def fields(html: str, action: str) -> dict[str, str]:
    """Return what a browser would send of a form, if nothing was changed in it."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', html, re.S)
    assert found, f"The page has no form that goes to {action}."
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", found[0]):
        given = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
        sent[given["name"]] = unescape(given.get("value", ""))
    for name, inner in re.findall(r'<select[^>]*name="(\w+)".*?>(.*?)</select>', found[0], re.S):
        chosen = re.search(r'<option\s+value="([^"]*)"\s+selected', inner)
        sent[name] = unescape(chosen[1]) if chosen else ""
    for name, inner in re.findall(r'<textarea[^>]*name="(\w+)"[^>]*>(.*?)</textarea>', found[0], re.S):
        sent[name] = unescape(inner).removeprefix("\n").removeprefix("\r\n")
    return sent


def opened(client: Client, task: models.Task, page: str = "") -> dict[str, str]:
    return fields(client.get(page or f"/tasks/{task.pk}/").content.decode(), f"/tasks/{task.pk}/change/")


def save(client: Client, task: models.Task, form: dict[str, str], page: str = "", **changes: str) -> Any:
    referer = f"http://testserver{page or f'/tasks/{task.pk}/'}"
    return client.post(f"/tasks/{task.pk}/change/", form | changes, headers={"Referer": referer})


def test_status_priority_assignee_and_dependencies_are_changed_on_the_page(manager: Client):
    make_agent("coder-1", name="Coder 1")
    first, task = make_task("First"), make_task("Parser", id="t1")
    form = opened(manager, task)
    answer = save(
        manager, task, form, status="Blocked", priority="high", assigned_to="coder-1", dependencies=f"{first.pk}\r\n"
    )
    assert answer["Location"] == "/tasks/t1/", "One is back on the page."
    task.refresh_from_db()
    assert (task.status, task.priority, task.assigned_to) == ("Blocked", "high", "coder-1")
    assert json.loads(task.dependencies or "") == [first.pk]
    assert models.TaskDependency.objects.get().depends_on_id == first.pk
    (entry,) = models.AuditEntry.objects.all()
    assert (entry.action, entry.actor) == ("edit", "manager")
    html = " ".join(manager.get("/tasks/t1/").content.decode().split())
    assert re.search(r"Blocked by</h2>.*?First", html), "The titles of what blocks it are shown."


def test_what_was_done_is_said_with_its_undo(manager: Client):
    task = make_task("Parser", id="t1")
    save(manager, task, opened(manager, task), status="Done")
    html = manager.get("/tasks/t1/").content.decode()
    assert "Moved Parser from Todo to Done." in html
    (entry,) = models.AuditEntry.objects.all()
    undo = fields(html, f"/audit/{entry.pk}/revert/")
    answer = manager.post(f"/audit/{entry.pk}/revert/", undo)
    assert answer["Location"] == "/tasks/t1/", "The undo leads back too."
    task.refresh_from_db()
    assert task.status == "Todo"


def test_nothing_changed_writes_nothing(manager: Client):
    task = make_task("Parser", dependencies="not JSON", assigned_to="x")
    save(manager, task, opened(manager, task))
    assert "Nothing was changed." in manager.get(f"/tasks/{task.pk}/").content.decode()
    assert not models.AuditEntry.objects.exists()


def test_only_what_was_changed_is_saved(manager: Client):
    """What is odd stays as it is stored: an unreadable list, an unknown word, an agent of two lines."""
    task = make_task("Parser", dependencies="not JSON", assigned_to="a\nb", priority="odd")
    assert save(manager, task, opened(manager, task), status="Done").status_code == 302
    task.refresh_from_db()
    assert (task.status, task.dependencies, task.assigned_to, task.priority) == ("Done", "not JSON", "a\nb", "odd")


def test_a_stale_task_is_refused_with_what_changed_and_what_was_typed(manager: Client):
    task = make_task("Parser", id="t1")
    form = opened(manager, task)
    models.Task.objects.filter(pk="t1").update(status="Done")
    answer = save(manager, task, form, priority="critical", dependencies="nowhere")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "status is now “Done”, and was “Todo”" in html.replace("Status", "status")
    assert "Nothing was saved" in html
    again = fields(html, "/tasks/t1/change/")
    assert again["priority"] == "critical", "What was chosen is kept."
    assert again["dependencies"] == "nowhere", "What was typed is kept."
    assert again["status"] == "Done", "What was not touched is as it is now, and not set back."
    assert save(manager, task, again, dependencies="").status_code == 302, "It can be saved once more."
    task.refresh_from_db()
    assert (task.status, task.priority) == ("Done", "critical")


def test_a_stale_task_says_so_too_where_another_field_changed(manager: Client):
    task = make_task("Parser", id="t1")
    form = opened(manager, task)
    models.Task.objects.filter(pk="t1").update(title="Parser 2")
    answer = save(manager, task, form, priority="low")
    assert answer.status_code == 409
    assert "other fields than these were changed" in answer.content.decode()


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        ("dependencies", "nowhere", "Task “nowhere” does not exist"),
        ("dependencies", "t1", "Circular dependency"),
        ("status", "Gone", "Select a valid choice"),
    ],
)
@pytest.mark.parametrize("page", ["/tasks/t1/", "/tasks/?layout=board&edit=t1"])
def test_an_error_stands_at_its_field_and_values_are_kept(
    manager: Client, page: str, field: str, typed: str, error: str
):
    task = make_task("Parser", id="t1")
    answer = save(manager, task, opened(manager, task, page), page, **{"priority": "high", field: typed})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert re.search(rf'id="error-{field}">[^<]*{error}', html), "It stands at its field."
    assert fields(html, "/tasks/t1/change/")["priority"] == "high"
    assert not models.AuditEntry.objects.exists()


def test_on_the_board_one_card_is_opened_and_saved(manager: Client):
    task = make_task("Parser", id="t1")
    make_task("Other", id="t2")
    board = manager.get("/tasks/?layout=board&priority=medium").content.decode()
    link = re.search(r'href="(\?[^"]*edit=t1[^"]*)"', board)
    assert link, "Each card leads to its form."
    assert board.count("<select") == 1, "No card carries a menu: the one that is left filters by priority."
    page = "/tasks/" + unescape(link[1]).partition("#")[0]
    form = opened(manager, task, page)
    answer = save(manager, task, form, page, status="Done")
    assert answer["Location"].startswith("/tasks/?layout=board&priority=medium#card-"), "The filters are kept."
    task.refresh_from_db()
    assert task.status == "Done"


def test_who_may_not_change_tasks_gets_no_form(operator: Client):
    task = make_task("Parser", id="t1")
    for page in ("/tasks/t1/", "/tasks/?layout=board&edit=t1"):
        assert "/change/" not in operator.get(page).content.decode(), page
    assert save(operator, task, {"status": "Done", "etag": models.row_hash(task)}).status_code == 403


def test_agents_are_offered_in_scope_and_as_one_types(people: dict[str, User]):
    for name, namespace in (("own-1", "m"), ("own-2", "m"), ("other", "x")):
        make_agent(name, namespace=namespace, name=f"<{name}>")
    make_agent("gone", namespace="m", is_deleted=1)
    models.UserAccess.objects.create(user=people["manager"], namespaces=["m"])
    manager = signed_in(people["manager"])
    make_task("Parser", id="t1", assigned_to="own-1")
    html = manager.get("/tasks/t1/").content.decode()
    options = re.search(r"<datalist.*?</datalist>", html, re.S)
    assert options
    assert set(re.findall(r'value="([^"]*)"', options[0])) == {"own-1", "own-2"}
    typed = manager.get("/search/agents/?of=assigned_to&assigned_to=WN-2").content.decode()
    assert re.findall(r'value="([^"]*)"', typed) == ["own-2"]
    assert "&lt;own-2&gt;" in typed


def test_the_number_of_queries_does_not_grow_with_the_agents(manager: Client):
    make_task("Parser", id="t1")
    counts = []
    for number in (1, 40):
        for _ in range(number):
            make_agent()
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            manager.get("/tasks/t1/")
        counts.append(len(queries))
    assert counts[0] == counts[1], counts


def test_the_admins_form_leads_back_to_the_page_and_nowhere_else(manager: Client):
    task = make_task("Parser", id="t/1")
    page = task.get_absolute_url()
    link = re.search(r'href="(/admin/statestore/task/[^"]*)"', manager.get(page).content.decode())
    assert link, "The link leads to the form itself."
    address = unescape(link[1])
    form = manager.get(address).context["adminform"].form
    sent = {name: form[name].value() or "" for name in form.fields} | {"title": "Parser 2"}
    assert manager.post(address, sent)["Location"] == page
    task.refresh_from_db()
    assert task.title == "Parser 2"
    sent["etag"] = models.row_hash(task)
    elsewhere = manager.post(f"{address.partition('?')[0]}?next=//elsewhere.example/", sent)
    assert elsewhere["Location"].startswith("/admin/")
