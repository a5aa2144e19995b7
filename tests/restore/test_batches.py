"""Many agents put back to one time: previewed, applied agent by agent, resumed, undone as one."""

import re
from typing import Any

import pytest
from django.test import Client

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.errors import Conflict, NeedsApproval, ValidationError
from statestore.restore import limits as restore_limits
from tests.builders import NOW, make_agent, make_transition

pytestmark = pytest.mark.django_db
ANNA, BERT = Actor("anna"), Actor("bert")


def make_fleet() -> dict[str, models.AgentState]:
    """Return agents of which each would fare differently when put back to NOW."""
    fleet = {
        "moved": make_agent("moved", state={"n": 2}),
        "still": make_agent("still", state={"n": 1}),
        "young": make_agent("young", state={"n": 9}),
        "runs": make_agent("runs", state={"n": 2}, status="running"),
    }
    for name in ("moved", "still", "runs"):
        make_transition(fleet[name], {"n": 0}, {"n": 1}, timestamp=NOW)
    for name in ("moved", "runs"):
        make_transition(fleet[name], {"n": 1}, {"n": 2}, timestamp=NOW + 50)
    make_transition(fleet["young"], {"n": 8}, {"n": 9}, timestamp=NOW + 50)
    return fleet


def chosen() -> list[tuple[str, str]]:
    verdicts = restore.preview_batch(models.AgentState.objects.order_by("agent_id"), NOW)
    return [(verdict.agent.agent_id, verdict.etag) for verdict in verdicts if verdict.is_choosable]


def states() -> dict[str, str]:
    return dict(models.AgentState.objects.values_list("agent_id", "state_data"))


def test_the_preview_says_what_would_become_of_each():
    make_fleet()
    verdicts = restore.preview_batch(models.AgentState.objects.all(), NOW + 10)
    assert {verdict.agent.agent_id: verdict.kind for verdict in verdicts} == {
        "moved": "change", "still": "unchanged", "young": "unknown", "runs": "running",
    }  # fmt: skip
    assert not models.Batch.objects.exists()


def test_a_batch_restores_each_agent_and_is_undone_as_one():
    make_fleet()
    before = states()
    batch = restore.prepare(chosen(), NOW, by=ANNA, reason="bad deploy")
    assert restore.apply_batch(batch, by=ANNA) == {"done": 2}
    assert states()["moved"] == states()["runs"] == '{"n": 1}'
    assert {one.reason for one in models.Restore.objects.all()} == {"bad deploy"}
    undo = restore.prepare_undo(batch, by=BERT)
    assert restore.apply_batch(undo, by=BERT) == {"done": 2}
    assert states() == before
    with pytest.raises(Conflict, match="already been undone"):
        restore.prepare_undo(batch, by=BERT)


def test_an_agent_that_moved_since_the_preview_is_left_alone_and_named():
    fleet = make_fleet()
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    models.AgentState.objects.filter(pk=fleet["moved"].pk).update(state_data='{"n": 3}')
    assert restore.apply_batch(batch, by=ANNA) == {"done": 1, "moved": 1}
    assert states()["moved"] == '{"n": 3}'
    assert "has changed since your preview" in batch.items.get(agent_id="moved").note


def test_an_agent_that_is_gone_fails_alone():
    fleet = make_fleet()
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    fleet["moved"].delete()
    assert restore.apply_batch(batch, by=ANNA) == {"done": 1, "failed": 1}


def test_a_batch_that_was_interrupted_goes_on_where_it_stopped():
    for number in range(60):
        agent = make_agent(f"agent-{number:02}", state={"n": 2}, updated_at=NOW + 1)
        make_transition(agent, {"n": 1}, {"n": 1}, timestamp=NOW)
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    assert restore.apply_batch(batch, by=ANNA, budget_seconds=0) == {"done": 50, "": 10}
    assert restore.apply_batch(batch, by=ANNA) == {"done": 60}
    assert models.Restore.objects.count() == 60


def test_an_undo_leaves_what_moved_after_the_batch():
    fleet = make_fleet()
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    restore.apply_batch(batch, by=ANNA)
    models.AgentState.objects.filter(pk=fleet["runs"].pk).update(state_data='{"n": 7}')
    undo = restore.prepare_undo(batch, by=ANNA)
    assert restore.apply_batch(undo, by=ANNA) == {"done": 1, "moved": 1}
    assert states() | {"young": ""} == {"moved": '{"n": 2}', "still": '{"n": 1}', "young": "", "runs": '{"n": 7}'}


def test_a_batch_needs_agents_and_holds_for_a_day():
    make_fleet()
    with pytest.raises(ValidationError, match="Select 1 to 5,000 agents"):
        restore.prepare([], NOW, by=ANNA)
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    batch.created_at = NOW
    with pytest.raises(Conflict, match="has expired"):
        restore.apply_batch(batch, by=ANNA)


def test_where_two_must_agree_a_batch_waits_for_the_second(settings: Any):
    settings.RESTORES_NEED_APPROVAL = True
    make_fleet()
    batch = restore.prepare(chosen(), NOW, by=ANNA)
    with pytest.raises(NeedsApproval):
        restore.apply_batch(batch, by=ANNA)
    with pytest.raises(Conflict, match="cannot approve your own"):
        restore.approve_batch(batch, by=ANNA)
    assert restore.apply_batch(restore.approve_batch(batch, by=BERT), by=ANNA) == {"done": 2}


def test_the_preview_says_how_much_would_change_and_where_most():
    agent = make_agent("a", state={"messages": [1, 2, 3], "step": 2}, updated_at=NOW + 50)
    make_transition(agent, {}, {"messages": [], "step": 1}, timestamp=NOW)
    make_transition(agent, {"messages": [], "step": 1}, {"messages": [1, 2, 3], "step": 2}, timestamp=NOW + 50)
    (verdict,) = restore.preview_batch(models.AgentState.objects.all(), NOW + 10)
    assert verdict.extent is not None
    assert ({str(kind): n for kind, n in verdict.extent.counts.items()}, verdict.extent.largest) == (
        {"removed": 3, "replaced": 1}, "messages",
    )  # fmt: skip


@pytest.mark.parametrize(("limit", "value"), [("COMPARED_SECONDS", -1), ("COMPARED_CHARACTERS", 3)])
def test_states_that_would_take_too_long_are_not_compared(monkeypatch: pytest.MonkeyPatch, limit: str, value: int):
    make_fleet()
    monkeypatch.setattr(restore_limits, limit, value)
    verdicts = restore.preview_batch(models.AgentState.objects.all(), NOW + 10)
    assert {verdict.extent for verdict in verdicts} == {None}
    assert "change" in {verdict.kind for verdict in verdicts}, "What would change is still known."


def test_the_changes_of_one_agent_are_loaded_when_they_are_opened(operator: Client):
    make_fleet()
    page = operator.get("/fleet/", {"at": NOW + 10}).content.decode()
    links = re.findall(r'hx-get="(/agents/[^"]+/restore/[^"]+)"', page)
    assert links, "Each agent that would change can be opened."
    part = operator.get(links[0], headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'class="change"' in part
    assert 'name="path"' not in part, "Nothing is picked in the preview of a fleet."
