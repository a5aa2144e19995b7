"""Restores of some paths, corrected values, one transition taken back, states merged: planned, shown, applied."""

import json
from typing import Any

import pytest
from hypothesis import given

from statestore import models, restore
from statestore.access.audit import SYSTEM, Actor
from statestore.errors import Conflict, Moved, NeedsApproval, NotFound, ValidationError
from statestore.jsondiff.diff import diff
from statestore.jsondiff.parsing import parse
from statestore.restore import path_selection
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.examples import thoroughly_on_the_store
from tests.jsondiff.test_diff import values

pytestmark = pytest.mark.django_db
ANNA, BERT = Actor("anna"), Actor("bert")


def now_of(agent: models.AgentState) -> Any:
    return parse(models.AgentState.objects.get(pk=agent.pk).state_data)


@thoroughly_on_the_store
@given(values, values)
def test_putting_all_paths_back_is_putting_the_whole_state_back(now: Any, then: Any):
    texts = json.dumps(now, default=str), json.dumps(then, default=str)
    changes = list(diff(parse(texts[0]), parse(texts[1])))
    if not changes:
        return
    text, count = path_selection.select(*texts, [restore.sign_of(change) for change in changes])
    assert text == texts[1]
    assert count == len(changes)


def test_only_the_chosen_paths_come_back_and_the_rest_stays_as_typed():
    agent = make_agent(state='{"a": 1,  "plan": {"goal": "x", "step": 7.0}, "n": 1e2}')
    snapshot = make_snapshot(agent, {"a": 0, "plan": {"goal": "y", "step": 1}, "n": 3})
    plan = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", paths=["/plan/goal"])
    assert (plan.kind, plan.label) == ("part", "1 field of snapshot")
    restore.apply(plan, by=ANNA)
    text = models.AgentState.objects.get(pk=agent.pk).state_data
    assert text == '{"a": 1,  "plan": {"goal": "y", "step": 7.0}, "n": 1e2}'


def test_a_path_stands_for_all_that_is_below_it():
    agent = make_agent(state={"plan": {"goal": "x", "step": 7}, "n": 1})
    snapshot = make_snapshot(agent, {"plan": {"goal": "y", "step": 1, "new": 1}, "n": 3})
    plan = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", paths=["/plan"])
    assert parse(plan.text) == {"plan": {"goal": "y", "step": 1, "new": 1}, "n": 1}


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "at least one path"),
        (["/a"], "“/a” no longer differs"),
        (["/nowhere"], "no longer differs"),
        ([f"/{n}" for n in range(10_000)], "At most 2,000 paths"),
    ],
)
def test_paths_that_cannot_be_put_back_are_refused_and_nothing_is_written(paths: list[str], said: str):
    agent = make_agent(state={"a": 1, "b": 1})
    snapshot = make_snapshot(agent, {"a": 1, "b": 2})
    with pytest.raises(ValidationError, match=said):
        restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", paths=paths)


def test_single_paths_of_a_state_that_is_no_json_are_refused():
    agent = make_agent(state="not json")
    snapshot = make_snapshot(agent, {"a": 1})
    with pytest.raises(ValidationError, match="Restore the whole state"):
        restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", paths=["/a"])


def test_a_corrected_value_is_written_as_typed():
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, '{ "a" : 2, "b":3 }')
    plan = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", edits=[("/b", "[1.50, -0]")])
    assert (plan.kind, plan.text) == ("edit", '{ "a" : 2, "b":[1.50, -0] }')


@pytest.mark.parametrize(
    ("edit", "said"),
    [(("/a", "nope"), "is not JSON"), (("/z", "1"), "“/z” does not exist"), (("a", "1"), "does not exist")],
)
def test_a_correction_that_cannot_be_is_refused(edit: tuple[str, str], said: str):
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 2})
    with pytest.raises(ValidationError, match=said):
        restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", edits=[edit])


def test_one_transition_is_taken_back_and_the_later_ones_stay():
    agent = make_agent(state={"goal": None, "step": 9})
    lost = make_transition(agent, {"goal": "x", "step": 1}, {"goal": None, "step": 1}, timestamp=NOW)
    make_transition(agent, {"goal": None, "step": 1}, {"goal": None, "step": 9}, timestamp=NOW + 1)
    plan = restore.plan_revert(agent.agent_id, lost.pk)
    restored = restore.apply(plan, by=ANNA, reason="wrong")
    assert now_of(agent) == {"goal": "x", "step": 9}
    assert restored.kind == "revert"
    assert "reverted: without “because”" in models.Transition.objects.get(pk=restored.transition_id).reason


def test_taking_back_what_changed_again_needs_a_choice():
    agent = make_agent(state={"goal": "z"})
    first = make_transition(agent, {"goal": "x"}, {"goal": "y"}, timestamp=NOW)
    plan = restore.plan_revert(agent.agent_id, first.pk)
    (clash,) = plan.clashes
    assert (clash.path, clash.base, clash.ours, clash.theirs) == ("/goal", "y", "z", "x")
    with pytest.raises(Conflict, match="Resolve the conflicts first"):
        restore.apply(plan, by=ANNA)
    assert now_of(agent) == {"goal": "z"}
    restore.apply(restore.plan_revert(agent.agent_id, first.pk, sides={"/goal": "theirs"}), by=ANNA)
    assert now_of(agent) == {"goal": "x"}


def test_a_side_where_nothing_clashes_is_refused():
    agent = make_agent(state={"goal": "z"})
    first = make_transition(agent, {"goal": "x"}, {"goal": "y"}, timestamp=NOW)
    with pytest.raises(ValidationError, match="“/other” is no longer in conflict"):
        restore.plan_revert(agent.agent_id, first.pk, sides={"/other": "ours"})


def test_a_restore_merges_with_what_came_since():
    seen = '{"a": 1, "b": 1}'
    agent = make_agent(state='{"a": 1, "b": 2}')
    snapshot = make_snapshot(agent, {"a": 0, "b": 1})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", seen=seen)
    merged = restore.plan_merge(planned, seen)
    assert parse(merged.text) == {"a": 0, "b": 2}
    restore.apply(merged, by=ANNA)
    assert now_of(agent) == {"a": 0, "b": 2}


def test_a_plan_is_kept_applied_once_and_under_its_own_id():
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 0})
    row = restore.save(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ANNA, reason="r")
    restored = restore.apply_saved(row, by=BERT)
    assert (restored.pk, restored.actor, restored.reason) == (row.pk, "bert", "r")
    with pytest.raises(Conflict, match="already been applied"):
        restore.apply_saved(row, by=BERT)
    assert models.Restore.objects.count() == 1


def test_a_plan_does_not_apply_to_an_agent_that_moved():
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 0})
    row = restore.save(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}", paths=["/a"]), by=ANNA)
    models.AgentState.objects.filter(pk=agent.pk).update(state_data='{"a": 5}')
    with pytest.raises(Moved, match="Nothing was written"):
        restore.apply_saved(row, by=ANNA)
    assert now_of(agent) == {"a": 5}


def test_a_plan_expires_after_a_day():
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 0})
    row = restore.save(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ANNA)
    row.expires_at = models.now()
    with pytest.raises(Conflict, match="has expired"):
        restore.apply_saved(row, by=ANNA)


def test_a_plan_whose_snapshot_is_gone_or_another_now_is_refused():
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 0})
    row = restore.save(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ANNA)
    models.Snapshot.objects.filter(pk=snapshot.pk).update(state_data='{"a": "poisoned"}')
    with pytest.raises(Conflict, match="has changed since the plan was made"):
        restore.apply_saved(row, by=ANNA)
    snapshot.delete()
    with pytest.raises(NotFound, match="Snapshot not found"):
        restore.apply_saved(row, by=ANNA)


def test_where_two_must_agree_only_a_second_person_can_approve(settings: Any):
    settings.RESTORES_NEED_APPROVAL = True
    agent = make_agent(state={"a": 1})
    snapshot = make_snapshot(agent, {"a": 0})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    with pytest.raises(NeedsApproval):
        restore.apply(planned, by=ANNA)
    row = restore.save(planned, by=ANNA)
    with pytest.raises(Conflict, match="cannot approve your own"):
        restore.approve(row, by=ANNA)
    with pytest.raises(NeedsApproval):
        restore.apply_saved(row, by=BERT)
    restored = restore.apply_saved(restore.approve(row, by=BERT), by=ANNA)
    assert now_of(agent) == {"a": 0}
    restore.undo(restored, by=ANNA)
    assert now_of(agent) == {"a": 1}


def test_a_fork_begins_with_the_state_of_its_moment_and_knows_its_parent():
    agent = make_agent("a1", namespace="build", state={"a": 1})
    snapshot = make_snapshot(agent, '{ "a":0 }')
    child = restore.fork("a1", f"snapshot:{snapshot.pk}", "a1-fork", by=ANNA, reason="try")
    grandchild = restore.fork("a1-fork", "now", "a1-fork-2", by=ANNA)
    assert (child.key, child.status, child.state_data) == ("build:a1-fork", "idle", '{ "a":0 }')
    assert [(one.agent_id, one.depth, one.is_asked) for one in restore.lineage("a1-fork")] == [
        ("a1", 0, False), ("a1-fork", 1, True), (grandchild.agent_id, 2, False),
    ]  # fmt: skip
    assert restore.lineage("other") == []


def test_a_fork_needs_an_id_that_nobody_has_in_any_namespace():
    make_agent("a1", namespace="build")
    make_agent("taken", namespace="ops")
    with pytest.raises(Conflict, match="already"):
        restore.fork("a1", "now", "taken", by=SYSTEM)
    with pytest.raises(ValidationError, match="needs an id"):
        restore.fork("a1", "now", "  ", by=SYSTEM)
    assert models.AgentState.objects.count() == 2
