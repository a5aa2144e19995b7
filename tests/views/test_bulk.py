"""Actions on several agents from the list: what will happen, the action, its rest, its undo."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from statestore.access.audit import Actor
from statestore.agents import bulk, limits
from statestore.db.ids import to_address
from statestore.models import AgentState, Snapshot
from statestore.models.user_access import UserAccess
from statestore.store import StateStore
from tests.builders import make_agent, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def agents() -> list[AgentState]:
    """Return three agents: one idle, two failed."""
    return [make_agent(f"a{number}", status="failed" if number else "idle") for number in range(3)]


def statuses() -> dict[str, str]:
    return dict(AgentState.objects.values_list("agent_id", "status"))


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def send(client: Client, *chosen: str, **fields: Any) -> Any:
    return client.post("/agents/bulk/", {"agent": [to_address(one) for one in chosen], **fields})


def test_what_will_happen_is_shown_before_anything_is_done(operator: Client, agents: list[AgentState]):
    answer = send(operator, "a0", "a1", action="status")
    assert "Set the status of 2 agents" in text_of(answer)
    assert "○ idle 1" in text_of(answer), "It says which statuses they have now."
    assert "✕ failed 1" in text_of(answer)
    send(operator, "a0", "a1", action="snapshot")
    assert statuses() == {"a0": "idle", "a1": "failed", "a2": "failed"}
    assert not Snapshot.objects.exists()


def test_many_are_snapshotted_at_once(operator: Client, agents: list[AgentState]):
    answer = operator.post("/agents/bulk/", {"agent": ["a0", "a1"], "action": "snapshot", "confirmed": 1}, follow=True)
    assert "Took snapshots of 2 agents." in text_of(answer)
    assert set(Snapshot.objects.values_list("agent_id", flat=True)) == {"a0", "a1"}


def test_a_status_is_set_for_many_and_set_back_by_one_click(operator: Client, agents: list[AgentState]):
    done = send(operator, "a0", "a1", action="status", status="paused", confirmed=1, reason="lunch")
    assert statuses() == {"a0": "paused", "a1": "paused", "a2": "failed"}
    page = operator.get(done["Location"])
    assert "Status set for 2 agents" in text_of(page)
    assert "○ idle → ◐ paused" in text_of(page)
    undone = operator.post(done["Location"])
    assert statuses() == {"a0": "idle", "a1": "failed", "a2": "failed"}
    operator.post(undone["Location"])
    assert statuses()["a0"] == "paused", "The undo is undone in turn."


def test_the_undo_leaves_what_was_changed_since(operator: Client, agents: list[AgentState]):
    done = send(operator, "a0", "a1", action="status", status="paused", confirmed=1)
    StateStore(actor=Actor("ada")).update_agent_status("a1", "running")
    answer = operator.post(done["Location"], follow=True)
    assert statuses() == {"a0": "idle", "a1": "running", "a2": "failed"}
    assert "a1: Its status was changed to running since. It was left alone." in text_of(answer)


def test_the_undo_leaves_what_is_changed_at_the_same_moment(
    operator: Client, agents: list[AgentState], monkeypatch: pytest.MonkeyPatch
):
    done = send(operator, "a0", action="status", status="paused", confirmed=1)
    change_status = bulk.change_status

    def meanwhile(using: str, agent_id: str, *arguments: Any, **keywords: Any) -> Any:
        AgentState.objects.filter(agent_id=agent_id).update(status="running")
        return change_status(using, agent_id, *arguments, **keywords)

    monkeypatch.setattr(bulk, "change_status", meanwhile)
    operator.post(done["Location"])
    assert statuses()["a0"] == "running", "What the orchestrator set is not overwritten."


def test_an_action_is_shown_to_and_undone_by_its_own_user_alone(
    people: dict[str, User], operator: Client, agents: list[AgentState]
):
    done = send(operator, "a0", action="status", status="paused", confirmed=1)["Location"]
    other = signed_in(people["manager"])
    assert other.get(done).status_code == 404
    other.post(done)
    assert statuses()["a0"] == "paused"


def test_all_that_match_the_filter_are_chosen_without_being_listed(operator: Client, agents: list[AgentState]):
    fields = {"every": 1, "filter": "status=failed", "action": "status"}
    assert "Set the status of 2 agents" in text_of(operator.post("/agents/bulk/", fields))
    operator.post("/agents/bulk/", {**fields, "status": "paused", "confirmed": 1})
    assert statuses() == {"a0": "idle", "a1": "paused", "a2": "paused"}


def test_what_one_request_does_not_reach_is_continued(
    operator: Client, agents: list[AgentState], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "REQUEST_SECONDS", -1)
    fields: dict[str, Any] = {
        "every": 1,
        "filter": "status=failed",
        "action": "status",
        "status": "idle",
        "confirmed": 1,
    }
    first = operator.post("/agents/bulk/", fields)
    assert "1 of them are left" in text_of(first)
    assert statuses() == {"a0": "idle", "a1": "idle", "a2": "failed"}
    hidden = dict(re.findall(r'name="(after|group|started_at)" value="([^"]+)"', first.content.decode()))
    assert hidden["after"] == "a1"
    done = operator.post("/agents/bulk/", {**fields, **hidden})
    assert statuses() == {"a0": "idle", "a1": "idle", "a2": "idle"}
    assert "Status set for 2 agents" in text_of(operator.get(done["Location"])), "Both requests are one action."


def test_more_than_may_be_chosen_are_refused_on_the_list(
    operator: Client, agents: list[AgentState], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "MATCHING_AGENTS", 2)
    answer = operator.post(
        "/agents/bulk/", {"every": 1, "action": "snapshot"}, headers={"Referer": "http://testserver/agents/"}
    )
    assert answer.status_code == 422
    assert "More than 2 agents match. Nothing was changed. Narrow the filter." in text_of(answer)
    assert "a0" in text_of(answer), "It is still the list."
    assert "3 of more than 2" in text_of(operator.get("/agents/"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "status", "status": "gone", "confirmed": 1}, "Choose a status"),
        ({"action": "restore", "confirmed": 1}, "Choose a time to restore to"),
        ({"action": "restore", "at": "noon", "confirmed": 1}, "“noon” is not a valid time"),
        ({"action": "status", "status": "paused", "reason": "x" * 501, "confirmed": 1}, "at most 500 characters"),
    ],
)
def test_a_wrong_value_is_asked_for_again(
    operator: Client, agents: list[AgentState], fields: dict[str, Any], said: str
):
    answer = send(operator, "a0", **fields)
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "1 agent" in text_of(answer), "The agents are still chosen."
    assert statuses()["a0"] == "idle"


@pytest.mark.parametrize("fields", [{"action": "drop"}, {"action": "snapshot", "agent": "~a", "confirmed": 1}])
def test_what_no_page_sends_changes_nothing(operator: Client, agents: list[AgentState], fields: dict[str, Any]):
    assert operator.post("/agents/bulk/", fields).status_code == 422
    assert not Snapshot.objects.exists()


def test_a_restore_of_the_selection_is_previewed_for_these_agents(operator: Client):
    for name in ("a0", "a1", "a2"):
        agent = make_agent(name, state={"n": 2}, updated_at=models.now() - 50)
        make_transition(agent, {"n": 0}, {"n": 1}, timestamp=models.now() - 200)
        make_transition(agent, {"n": 1}, {"n": 2}, timestamp=models.now() - 50)
    answer = send(operator, "a0", "a2", action="restore", confirmed=1, at=str(models.now() - 100))
    html = answer.content.decode()
    assert html.count('name="agent"') == 2
    assert 'name="scope" value="2 selected agents"' in html
    assert not models.Batch.objects.exists(), "Nothing is kept before it is asked for."


def test_a_limited_user_acts_on_agents_of_the_namespaces_alone(people: dict[str, User]):
    make_agent("own", namespace="team")
    make_agent("other", namespace="else")
    UserAccess.objects.create(user=people["operator"], namespaces=["team"])
    limited = signed_in(people["operator"])
    assert send(limited, "own", "other", action="snapshot", confirmed=1).status_code == 404
    limited.post("/agents/bulk/", {"every": 1, "action": "snapshot", "confirmed": 1})
    assert list(Snapshot.objects.values_list("agent_id", flat=True)) == ["own"]


def test_a_list_counts_what_matches_and_shows_the_last_changes(viewer: Client):
    agent = make_agent("a", state={"x": "y" * 100}, status="failed")
    for number in range(5):
        make_transition(agent, {}, {"x": "y" * number}, reason=f"patch rejected ({number} in a row)")
    make_agent("b")
    answer = viewer.get("/agents/?status=failed")
    assert "1 of 1 that match, 2 in all" in text_of(answer)
    assert "patch rejected (‹0–4› in a row) × 5" in text_of(answer)
    assert re.search(r'<path d="M0 [\d.]+(H[\d.]+V[\d.]+){4}"', answer.content.decode()), "Five sizes are four steps."


@pytest.mark.parametrize(("sort", "said"), [("changed", "descending"), ("oldest", "ascending"), ("id", "ascending")])
def test_headers_sort_the_list(viewer: Client, agents: list[AgentState], sort: str, said: str):
    html = viewer.get(f"/agents/?sort={sort}&status=failed").content.decode()
    assert f'aria-sort="{said}"' in html
    assert "?sort=" in html or "&amp;sort=" in html
    assert 'href="?status=failed&amp;sort=' in html, "A header keeps the filter."
