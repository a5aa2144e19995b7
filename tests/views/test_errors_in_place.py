"""Errors are shown where they are made: on the form's page, with what was typed; or in the frame, with a way back."""

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from statestore import models
from statestore.adoption import status as adoption_status
from statestore.views.formatting import with_code
from tests.builders import make_agent, make_task

pytestmark = pytest.mark.django_db

RAIL = 'aria-label="Places"'
TOO_LONG = "why? " * 150


def field(html: str, name: str) -> str:
    """Return the element of a field and what follows it, up to the next element that can be filled."""
    found = re.search(rf'<(input|select|textarea)[^>]*\bname="{name}"[^>]*>.*?(?=<input|<button|<textarea)', html, re.S)
    assert found, f"The page has no field {name}."
    return found[0]


def post(client: Client, address: str, page: str, **fields: Any) -> Any:
    """Return the answer to a form that was sent from a page."""
    return client.post(address, fields, headers={"Referer": f"http://testserver{page}"})


def test_an_error_of_a_form_stands_at_its_field_and_what_was_typed_is_kept(operator: Client):
    agent = make_agent("a", name="Coder 2", status="running")
    answer = post(operator, "/agents/a/status/", "/agents/a/", status="failed", reason=TOO_LONG)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert {"<h1>", "Coder 2", RAIL} <= set(re.findall(r'<h1>|Coder 2|aria-label="Places"', html)), "It is its page."
    reason = re.search(r'<form[^>]*action="/agents/a/status/".*?</form>', html, re.S)
    assert reason, "The form is still there."
    at_field = field(reason[0], "reason")
    assert 'aria-invalid="true" aria-describedby="error-reason"' in at_field
    assert 'id="error-reason"' in at_field
    assert "at most 500 characters" in at_field
    assert "Nothing was changed" in at_field
    assert TOO_LONG.strip() in at_field, "What was typed is not lost."
    assert '<option value="failed" selected' in reason[0], "So is what was chosen."
    assert re.search(r"<details[^>]*\bopen[^>]*>(?:(?!</details>).)*agents/a/status", html, re.S), "Its menu is open."
    assert models.AgentState.objects.get(pk=agent.pk).status == "running"
    assert not models.Transition.objects.exists(), "The page was read again, nothing was sent again."


def test_the_error_is_behind_the_label_that_its_field_is_in(operator: Client):
    make_agent("a")
    html = post(operator, "/agents/a/status/", "/agents/a/", status="failed", reason=TOO_LONG).content.decode()
    assert not re.search(r"<label[^>]*>(?:(?!</label>).)*field-error", html, re.S), "It would become part of its name."


def test_an_error_of_no_field_is_said_at_the_top_of_the_page_with_its_filters(operator: Client):
    for number in range(3):
        make_agent(f"a{number}", status="failed" if number else "idle")
    answer = post(operator, "/agents/bulk/", "/agents/?status=failed", action="snapshot")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert 'role="alert" data-level="error">Select 1 to 200 agents. Nothing was changed.' in html
    assert re.findall(r"/agents/(a\d)/\"", html).count("a0") == 0, "It is the list as it was filtered."
    assert "/agents/a1/" in html


def test_a_conflict_is_said_on_the_page_it_came_from(manager: Client):
    task = make_task("Parser", status="Todo")
    answer = post(manager, f"/tasks/{task.pk}/move/", "/tasks/?layout=board", status="Done", etag="0" * 64)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.content.decode()
    assert "Parser" in answer.content.decode()
    assert models.Task.objects.get(pk=task.pk).status == "Todo"


@pytest.mark.parametrize(
    ("page", "name", "typed", "error"),
    [
        ("bisect/", "condition", "/mode ~ 3", "an operator is expected"),
        ("bisect/", "condition", '<script>"', "A condition must start with a path"),
    ],
)
def test_a_query_that_is_refused_stays_in_its_field(viewer: Client, page: str, name: str, typed: str, error: str):
    make_agent("a")
    answer = viewer.get(f"/agents/a/{page}", {name: typed})
    html = answer.content.decode()
    assert answer.status_code == 422
    at_field = field(html, name)
    assert error in at_field, "The error stands at the field."
    assert "<script>" not in at_field, "What was typed is text."
    assert typed in at_field.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">"), "It is still there."
    assert RAIL in html


def test_a_form_of_a_page_that_is_gone_gives_back_what_was_typed(operator: Client):
    make_agent("a")
    answer = post(operator, "/agents/a/status/", "/agents/", status="nonsense", reason="<b>because</b>")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "reason: &lt;b&gt;because&lt;/b&gt;" in html, "The list of agents has no such form: the text is shown."
    assert "nonsense is not one of the available choices. Nothing was changed." in html


def test_an_error_leads_to_no_other_site(operator: Client):
    make_agent("a")
    answer = operator.post("/agents/a/status/", {"status": "x"}, headers={"Referer": "http://elsewhere/agents/a/"})
    assert answer.status_code == 422
    assert "elsewhere" not in answer.content.decode()


@pytest.mark.parametrize("address", ["/agents/nobody/", "/nowhere/", "/events/nothing/"])
def test_what_is_not_there_is_said_in_the_frame_with_a_way_back(viewer: Client, address: str):
    answer = viewer.get(address, headers={"Referer": "http://testserver/agents/?status=failed"})
    html = answer.content.decode()
    assert answer.status_code == 404
    assert RAIL in html, "The rail is there."
    assert 'role="search"' in html, "So is the search."
    assert '<a class="button" href="/agents/?status=failed">Back</a>' in html
    assert "curl" not in html, "There is no JSON of what is not there."


def test_what_one_may_not_do_is_said_in_the_frame(viewer: Client):
    make_agent("a")
    answer = viewer.get("/agents/a/fork/")
    assert answer.status_code == 403
    assert RAIL in answer.content.decode()
    assert "Your role does not allow this" in answer.content.decode()


def test_a_store_that_is_not_ready_is_said_in_the_frame(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    gone = adoption_status.StoreStatus("missing", "The file is gone.", "Put it back.")
    monkeypatch.setattr("statestore.middleware.store_status", lambda: gone)
    answer = viewer.get("/agents/")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert RAIL in answer.content.decode()
    assert "The file is gone. Put it back." in answer.content.decode()


def test_without_our_own_database_the_page_is_a_bare_one(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    gone = adoption_status.StoreStatus("missing", "The file is gone.", "Put it back.")
    monkeypatch.setattr("statestore.middleware.store_status", lambda: gone)

    def fail(*_: object) -> None:
        raise OperationalError("unable to open database file")

    monkeypatch.setattr("statestore.access.rights.may", fail)
    answer = viewer.get("/agents/")
    assert answer.status_code == 503
    assert RAIL not in answer.content.decode()
    assert "The file is gone." in answer.content.decode()


def test_commands_in_messages_are_code_and_nothing_of_them_runs():
    assert with_code("Run `manage.py doctor`.") == "Run <code>manage.py doctor</code>."
    assert with_code("`<b>` and `") == "<code>&lt;b&gt;</code> and `"
    assert with_code(None) == ""
