"""A token of some namespaces: what it makes may not bring into reach what was out of it."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(people: dict[str, User]) -> Script:
    """A script that sees the namespace m and no other."""
    make_agent("own", namespace="m")
    return script_of(people["administrator"], namespaces=["m"])


def test_a_session_under_the_id_of_others_events_is_refused(limited: Script):
    make_agent("hidden", namespace="n")
    event = make_event(actor_id="hidden", session_id="secret")
    for answer in (limited.post("/sessions", {"id": "secret", "agent_id": "own"}),
                   limited.put("/sessions/secret", {"agent_id": "own"})):  # fmt: skip
        assert (answer.status_code, "already in use" in answer.json()["detail"]) == (409, True)
    assert limited.get(f"/events/{event.pk}").status_code == 404
    make_event(actor_id="own", session_id="fine")
    assert limited.post("/sessions", {"id": "fine", "agent_id": "own"}).status_code == 201


@pytest.mark.parametrize("left", ["transition", "snapshot", "session", "event", "task"])
def test_an_agent_under_an_id_that_other_rows_name_is_refused(limited: Script, left: str):
    gone = make_agent("gone", namespace="n")
    make: dict[str, Any] = {
        "transition": make_transition, "snapshot": make_snapshot, "session": make_session,
        "event": lambda agent: make_event(actor_id=agent.agent_id),
        "task": lambda agent: make_task(assigned_to=agent.agent_id),
    }  # fmt: skip
    make[left](gone)
    models.AgentState.objects.filter(agent_id="gone").delete()
    assert limited.put("/agents/gone", {"state": 1}).status_code == 409
    assert limited.post("/agents/own/fork", {"agent_id": "gone"}).status_code == 409
    assert models.AgentState.objects.get().agent_id == "own"
    assert limited.put("/agents/new", {"state": 1}).status_code == 201


def test_a_hidden_task_is_no_more_there_to_depend_on_than_one_that_is_missing(limited: Script):
    hidden, own = make_task(), make_task(assigned_to="own")
    answers = [
        limited.post("/tasks", {"title": "T", "assigned_to": "own", "dependencies": [one]})
        for one in (hidden.pk, "missing")
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json()["detail"].replace(hidden.pk, "missing") == answers[1].json()["detail"]
    assert answers[0].json()["errors"][0]["pointer"] == "/dependencies"
    assert limited.patch(f"/tasks/{own.pk}", {"dependencies": []}).status_code == 200


def test_figures_of_the_whole_store_are_not_for_a_part_of_it(limited: Script, script: Script):
    for who, status in ((limited, 401), (script, 200)):
        answer = who.client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {who.secret}")
        assert answer.status_code == status


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Via", "X-Forwarded-Host"])
def test_what_a_proxy_passes_on_is_not_of_this_machine(script: Script, settings: Any, name: str):
    assert script.client.get("/metrics").status_code == 200
    assert script.client.get("/metrics", headers={name: "x"}).status_code == 401
    settings.HTTPS = True
    assert script.client.get("/metrics").status_code == 401
