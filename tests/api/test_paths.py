"""Paths in the API: whatever an agent wrote as a key has a path of its own, which each call takes back."""

from typing import Any
from urllib.parse import quote

import pytest

from statestore import models
from tests.api.conftest import Script
from tests.builders import NOW, make_agent, make_transition

pytestmark = pytest.mark.django_db
# Keys that are no text, or that no URL takes.
BEFORE = r'{"\ud800": 0, "\ud801": 0, "\u0000": 0}'
AFTER = r'{"\ud800": 1, "\ud801": 2, "\u0000": 3}'
PATHS = {"/~ud800": 1, "/~ud801": 2, "/~u0000": 3}


@pytest.fixture
def agent(db: None) -> models.AgentState:
    agent = make_agent("a1", state=AFTER)
    make_transition(agent, BEFORE, AFTER, timestamp=NOW)
    return agent


def test_each_leaf_has_its_own_blame_and_its_own_history(script: Script, agent: models.AgentState):
    assert script.get("/agents/a1/blame").json()["origins"].keys() == PATHS.keys()
    for path, value in PATHS.items():
        answer = script.get(f"/agents/a1/history?path={quote(path)}").json()
        assert [(item["path"], item["before"], item["after"]) for item in answer["items"]] == [(path, 0, value)]
        flips = script.get(f"/agents/a1/bisect?condition={quote(f'{path} = {value}')}").json()
        assert [flip["became"] for flip in flips["items"]] == [True]


def test_each_leaf_can_be_restored_alone(script: Script, agent: models.AgentState):
    moment = f"transition:{models.Transition.objects.get().pk}:before"
    changes = script.get(f"/agents/a1/diff?from={moment}").json()["changes"]
    assert {change["path"] for change in changes} == PATHS.keys()
    for path in PATHS:
        body: Any = {"agent_id": "a1", "moment": moment, "paths": [path], "dry_run": True}
        preview = script.post("/restores", body).json()
        assert [change["path"] for change in preview["changes"]] == [path]
    body = {"agent_id": "a1", "moment": "now", "edits": [{"path": "/~ud801", "value": "9"}], "dry_run": True}
    assert script.post("/restores", body).json()["state_data"] == AFTER.replace("2", "9")


@pytest.mark.parametrize("path", ["/~u0041", "/~uD800", "/~2"])
def test_an_escape_that_stands_for_nothing_is_refused(script: Script, agent: models.AgentState, path: str):
    assert script.get(f"/agents/a1/history?path={quote(path)}").status_code == 422
