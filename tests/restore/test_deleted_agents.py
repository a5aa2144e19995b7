"""The past of an agent whose row its orchestrator deleted: read from what remains, restored as a new row, undone."""

from typing import Any

import pytest

from statestore import history, models, restore
from statestore.access.audit import Actor
from statestore.errors import Conflict, Moved, NotFound, ValidationError
from statestore.history import moments
from statestore.jsondiff import predicate
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db
ADA = Actor("ada", "127.0.0.1")
ODD = '{"b":  1e400, "a": -0}'


@pytest.fixture
def snapshot(db: None) -> models.Snapshot:
    """The last record of a deleted agent: a snapshot, after a transition."""
    make_transition("a1", {"a": 1}, ODD, timestamp=NOW, reason="step")
    return make_snapshot("a1", ODD, created_at=NOW + 50)


def rows() -> dict[str, Any]:
    """Return all that the store has of agents, but the records that an action leaves behind."""
    return {agent.agent_id: [getattr(agent, field.attname) for field in agent._meta.concrete_fields]
            for agent in models.AgentState.objects.all()}  # fmt: skip


def test_its_past_is_read_from_what_remains(snapshot: models.Snapshot):
    agent = history.find_agent("a1")
    assert agent is not None
    assert (agent.is_gone, agent.state_data, agent.updated_at) == (True, ODD, NOW + 50)
    assert [record.kind for record in history.timeline("a1", limit=9)[0]] == ["snapshot", "transition"]
    assert history.state_at("a1", moments.AtTime(NOW + 20)).text == ODD
    assert {origin.reason for origin in history.blame(agent).origins.values()} == {"step"}
    assert [change.origin.reason for change in history.path_history(agent, "/b").changes] == ["step"]
    assert [flip.became for flip in history.bisect(agent, predicate.parse("/b exists")).flips] == [True]
    stop = history.stop_at(agent, moments.Now())
    assert stop is not None
    assert stop.kind == "snapshot"
    older, newer = history.neighbours(agent, stop)
    assert (older and older.kind, newer) == ("transition", None)


def test_blame_of_two_deleted_agents_is_not_mixed_up():
    for name, key in (("a1", "x"), ("a2", "y")):
        make_snapshot(name, {key: 1})
        agent = history.find_agent(name)
        assert agent is not None
        assert list(history.blame(agent).unknown_paths()) == [f"/{key}"]


def test_its_present_is_not_found_and_the_error_says_what_remains(snapshot: models.Snapshot):
    with pytest.raises(NotFound, match=r"deleted this agent.*1 transition and 1 snapshot, the last of 2026-09-2"):
        history.state_at("a1", moments.Now())
    with pytest.raises(NotFound, match="nothing remains"):
        history.state_at("a2", moments.Now())
    assert history.find_agent("a2") is None


def test_a_restore_creates_it_again_and_the_undo_removes_it(snapshot: models.Snapshot):
    make_agent("other")
    before = rows()
    planned = restore.plan("a1", f"snapshot:{snapshot.pk}")
    assert [warning.kind for warning in planned.warnings] == ["gone"]
    restored = restore.apply(planned, by=ADA, reason="needed")
    agent = models.AgentState.objects.get(agent_id="a1")
    assert (agent.key, agent.status, agent.state_data) == ("a1", "idle", ODD)
    transition = models.Transition.objects.get(pk=restored.transition_id)
    assert (transition.state_before, transition.state_after) == ("", ODD)
    assert (restored.has_created, restored.hash_before) == (True, "")
    assert models.Snapshot.objects.count() == 1
    assert restore.verify(restored).in_force
    undone = restore.undo(restored, by=ADA)
    assert rows() == before
    assert restore.verify(undone).in_force
    assert {one.stands for one in models.Restore.objects.with_standing()} == {False, True}
    again = restore.undo(undone, by=ADA)
    assert models.AgentState.objects.get(agent_id="a1").state_data == ODD
    assert restore.verify(again).in_force
    actions = [(entry.action, entry.row_id) for entry in models.AuditEntry.objects.newest_first()]
    assert actions == [("undo", "a1"), ("undo", "a1"), ("restore", "a1")]


def test_the_undo_does_not_remove_an_agent_that_was_saved_since(snapshot: models.Snapshot):
    restored = restore.apply(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=ADA)
    models.AgentState.objects.update(state_data="{}")
    etag = models.AgentState.objects.get().etag()
    for expected in (None, etag):
        with pytest.raises(Conflict, match="saved since"):
            restore.undo(restored, by=ADA, expected_etag=expected)
    assert models.AgentState.objects.get().state_data == "{}"


def test_a_plan_for_a_deleted_agent_does_not_apply_to_one_that_was_saved_since(snapshot: models.Snapshot):
    planned = restore.plan("a1", "at:1790000000")
    row = restore.save(planned, by=ADA)
    make_agent("a1", state={"new": 1}, updated_at=NOW + 900)
    for work in (lambda: restore.apply(planned, by=ADA), lambda: restore.apply_saved(row, by=ADA)):
        with pytest.raises(Moved, match="Nothing was written"):
            work()
    assert models.AgentState.objects.get().state_data == '{"new": 1}'


def test_a_plan_for_an_agent_that_was_deleted_since_is_refused(snapshot: models.Snapshot):
    agent = make_agent("a1", state={"new": 1})
    planned = restore.plan("a1", f"snapshot:{snapshot.pk}")
    agent.delete()
    with pytest.raises(NotFound, match="deleted this agent"):
        restore.apply(planned, by=ADA)
    assert not models.AgentState.objects.exists()


def test_a_saved_plan_with_corrected_values_creates_it(snapshot: models.Snapshot):
    row = restore.save(restore.plan("a1", f"snapshot:{snapshot.pk}", edits=[("/a", "7")]), by=ADA)
    restore.apply_saved(row, by=ADA)
    assert models.AgentState.objects.get().state_data == '{"b":  1e400, "a": 7}'


def test_single_paths_and_reverts_need_a_present_state(snapshot: models.Snapshot):
    with pytest.raises(ValidationError, match="Restore the whole state"):
        restore.plan("a1", f"snapshot:{snapshot.pk}", paths=["/a"])
    with pytest.raises(ValidationError, match="cannot be merged"):
        restore.plan_revert("a1", models.Transition.objects.get().pk)


def test_an_id_that_is_anothers_key_is_not_taken(snapshot: models.Snapshot):
    make_agent("other", key="a1")
    with pytest.raises(Conflict, match="as its key"):
        restore.apply(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=ADA)


def test_it_can_be_forked(snapshot: models.Snapshot):
    child = restore.fork("a1", f"snapshot:{snapshot.pk}", "a2", by=ADA)
    assert (child.key, child.state_data) == ("a2", ODD)
    assert not models.AgentState.objects.filter(agent_id="a1").exists()
