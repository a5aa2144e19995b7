"""One thing done to many agents: to each by itself, and told of each."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from statestore.access.audit import SYSTEM
from statestore.agents import bulk
from statestore.agents import limits as agents_limits
from statestore.db.routers import store_alias
from statestore.errors import Busy, ValidationError
from tests.api.conftest import Script, script_of
from tests.builders import make_agent

pytestmark = pytest.mark.django_db


def test_snapshots_are_taken_of_each(script: Script):
    for agent_id in ("a1", "odd/id"):
        make_agent(agent_id)
    found = script.post("/bulk/snapshots", {"agents": ["a1", "~b2RkL2lk", "a1"], "description": "before"}).json()
    assert (found["done"], [one["agent_id"] for one in found["items"]]) == (2, ["a1", "odd/id"])
    assert {row.pk for row in models.Snapshot.objects.filter(description="before")} == {
        one["made"] for one in found["items"]
    }


def test_each_change_of_a_status_is_recorded_with_its_reason(script: Script):
    for agent_id, status in (("a1", "idle"), ("a2", "paused")):
        make_agent(agent_id, status=status)
    found = script.post("/bulk/status", {"agents": ["a1", "a2"], "status": "paused", "reason": "lunch"}).json()
    (transition,) = models.Transition.objects.all()
    assert [one["made"] for one in found["items"]] == [transition.pk, None]
    assert (found["done"], transition.reason) == (2, "status: idle → paused (lunch)")


def test_one_that_refuses_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, script: Script):
    for agent_id in ("a1", "a2"):
        make_agent(agent_id)
    take = bulk.take_snapshot

    def locked(using: str, agent_id: str, *more: Any, **named: Any) -> models.Snapshot:
        if agent_id == "a1":
            raise Busy("Store is busy.")
        return take(using, agent_id, *more, **named)

    monkeypatch.setattr(bulk, "take_snapshot", locked)
    found = script.post("/bulk/snapshots", {"agents": ["a1", "a2"]}).json()
    assert (found["done"], [one["refused"] for one in found["items"]]) == (1, ["Store is busy.", None])
    assert models.Snapshot.objects.get().agent_id == "a2"


def test_where_one_is_not_there_or_not_theirs_nothing_is_done(script: Script, people: dict[str, User]):
    make_agent("a1", namespace="n")
    make_agent("a2", namespace="m")
    assert script.post("/bulk/snapshots", {"agents": ["a1", "nowhere"]}).status_code == 404
    own = script_of(people["administrator"], namespaces=["n"])
    assert own.post("/bulk/status", {"agents": ["a1", "a2"], "status": "paused"}).status_code == 404
    assert own.post("/bulk/status", {"agents": ["a1"], "status": "paused"}).json()["done"] == 1
    assert not models.Snapshot.objects.exists()
    assert models.AgentState.objects.get(agent_id="a2").status == "idle"


def test_a_repeated_call_takes_no_second_snapshot(script: Script):
    make_agent("a1")
    answers = [script.post("/bulk/snapshots", {"agents": ["a1"]}, idempotency_key="k").content for _ in range(2)]
    assert answers[0] == answers[1]
    assert models.Snapshot.objects.count() == 1


@pytest.mark.parametrize("agents", [[], ["a"] * (agents_limits.BULK_AGENTS + 1), ["a b"]])
def test_too_few_and_too_many_are_refused(script: Script, agents: list[str]):
    assert script.post("/bulk/snapshots", {"agents": agents}).status_code == 422


def test_a_page_that_chose_none_or_too_many_is_told_so(operator: Client):
    make_agent("a1")
    answer = operator.post("/agents/bulk/", {"action": "snapshot"})
    assert (answer.status_code, b"Select 1 to 200 agents" in answer.content) == (422, True)
    with pytest.raises(ValidationError, match="Select 1 to 200"):
        bulk.snapshot_each(store_alias(), [str(number) for number in range(agents_limits.BULK_AGENTS + 1)], by=SYSTEM)
    assert not models.Snapshot.objects.exists()
