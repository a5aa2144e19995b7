"""Policies delete what their simulator named, never what is held, and the chain of the audit log goes on."""

import json
from typing import Any

import pytest
import time_machine

from statestore import models, restore, retention
from statestore.access import audit_chain
from statestore.access.audit import SYSTEM, Actor
from statestore.access.scope import Scope
from statestore.agents import retention as agent_retention
from statestore.agents import snapshots
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved, NotFound, ValidationError
from statestore.history import sentences
from statestore.models import RetentionPolicy
from statestore.retention import Deleted, Limits
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

ADA = Actor("ada")
DAY = 24 * 3600


def policy(table: str, namespace: str | None = None, **limits: Any) -> RetentionPolicy:
    made = retention.create(store_alias(), table, namespace, Limits(**limits), by=ADA)
    return retention.switch(store_alias(), made.pk, on=True, by=ADA)


def carry_out(of: RetentionPolicy) -> Deleted:
    return retention.carry_out(of, store_alias(), by=SYSTEM, now=NOW)


def snapshots_of(agent_id: str) -> list[int]:
    return sorted(NOW - row.created_at for row in models.Snapshot.objects.of_agent(agent_id))


def with_snapshots(agent_id: str, *ages: int, **columns: Any) -> models.AgentState:
    agent = make_agent(agent_id, **columns)
    for age in ages:
        make_snapshot(agent, {"age": age}, created_at=NOW - age)
    return agent


@pytest.mark.parametrize("table", ["snapshots", "transitions"])
def test_what_the_simulator_names_is_what_goes(table: str):
    for number in range(3):
        agent = with_snapshots(f"agent-{number}", *range(0, 50, 10))
        for age in range(0, 60, 10):
            make_transition(agent, {"age": age}, {"age": age, "n": number}, timestamp=NOW - age)
    of = policy(table, keep_count=2)
    simulated = retention.simulate(of, now=NOW)
    assert models.Snapshot.objects.count() == 15, "the simulator deletes nothing"
    gone = carry_out(of)
    assert (gone.rows, gone.bytes) == (simulated.rows, simulated.bytes)
    assert gone.rows == (9 if table == "snapshots" else 12)
    assert simulated.agents == 3
    assert retention.simulate(of, now=NOW).rows == 0


def test_the_simulator_says_what_each_agent_keeps():
    with_snapshots("planner", 0, 10, 20, 30)
    (loss,) = retention.simulate(policy("snapshots", keep_count=1), now=NOW).largest
    assert (loss.agent_id, loss.rows, loss.restore_points_left) == ("planner", 3, 1)
    assert (loss.first_at, loss.last_at) == (NOW - 30, NOW - 10)


def test_a_policy_that_is_off_deletes_nothing_by_itself():
    made = retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=ADA)
    assert not made.is_on
    assert list(RetentionPolicy.objects.switched_on()) == []


def test_the_last_restore_point_stays():
    with_snapshots("planner", 900 * DAY)
    assert carry_out(policy("snapshots", keep_seconds=DAY)) == Deleted()
    assert snapshots_of("planner") == [900 * DAY]


def test_a_safety_snapshot_stays_while_its_restore_can_be_undone():
    agent = with_snapshots("planner", 30)
    done = restore.apply(restore.plan("planner", f"snapshot:{models.Snapshot.objects.get().pk}"), by=ADA)
    models.Snapshot.objects.filter(pk=done.safety_snapshot_id).update(created_at=NOW - 20)
    for age in range(5):
        make_snapshot(agent, created_at=NOW - age)
    of = policy("snapshots", keep_count=1)
    carry_out(of)
    assert snapshots_of("planner") == [0, 20]
    restore.undo(done, by=ADA)
    models.Snapshot.objects.exclude(pk=done.safety_snapshot_id).update(created_at=NOW)
    carry_out(of)
    assert 20 not in snapshots_of("planner"), "undone: nothing needs it any more"


@pytest.mark.parametrize("noun", ["agent", "snapshot"])
def test_what_is_held_stays(noun: str):
    with_snapshots("planner", 0, 10, 20)
    held = models.Snapshot.objects.get(created_at=NOW - 20)
    retention.hold(store_alias(), noun, "planner" if noun == "agent" else held.pk, reason="case 7", by=ADA)
    of = policy("snapshots", keep_count=1)
    carry_out(of)
    assert snapshots_of("planner") == ([0, 10, 20] if noun == "agent" else [0, 20])
    retention.release(store_alias(), noun, "planner" if noun == "agent" else held.pk, by=ADA)
    carry_out(of)
    assert snapshots_of("planner") == [0]


def test_what_a_held_restore_can_be_undone_by_stays():
    agent = with_snapshots("planner", 5)
    done = restore.apply(restore.plan("planner", f"snapshot:{models.Snapshot.objects.get().pk}"), by=ADA)
    restore.undo(done, by=ADA)
    safety = models.Snapshot.objects.filter(pk=done.safety_snapshot_id)
    safety.update(created_at=NOW - 20, expires_at=NOW - 1)
    retention.hold(store_alias(), "restore", done.pk, by=ADA)
    carry_out(policy("snapshots", keep_count=1))
    with pytest.raises(Conflict, match=r"or its restore is held\."):
        snapshots.delete_snapshot(store_alias(), done.safety_snapshot_id, by=ADA)
    models.AgentState.objects.filter(pk=agent.pk).update(is_deleted=1)
    with pytest.raises(Conflict, match=r"snapshots or restores is\."):
        agent_retention.purge_agent(store_alias(), lambda: models.AgentState.objects.get(pk=agent.pk), by=ADA)
    assert agent_retention.delete_expired_snapshots(store_alias(), safety, by=ADA) == 0
    assert safety.exists()
    retention.release(store_alias(), "restore", done.pk, by=ADA)
    assert agent_retention.delete_expired_snapshots(store_alias(), safety, by=ADA) == 1


def test_a_held_snapshot_is_deleted_by_nobody():
    agent = make_agent("planner", is_deleted=1)
    snapshot = make_snapshot(agent, expires_at=NOW)
    models.SnapshotExpiry.objects.create(snapshot_id=snapshot.pk, expires_at=NOW)
    retention.hold(store_alias(), "snapshot", snapshot.pk, by=ADA)
    with pytest.raises(Conflict, match=r"This snapshot, its agent or its restore is held.*Nothing was deleted"):
        snapshots.delete_snapshot(store_alias(), snapshot.pk, by=ADA)
    with pytest.raises(Conflict, match=r"one of its snapshots or restores is.*Nothing was deleted"):
        agent_retention.purge_agent(store_alias(), lambda: models.AgentState.objects.get(pk=agent.pk), by=ADA)
    assert agent_retention.delete_expired_snapshots(store_alias(), models.Snapshot.objects.all(), by=ADA) == 0


def test_a_hold_that_comes_between_reading_and_deleting_counts():
    with_snapshots("planner", 0, 10, 20)
    of = policy("snapshots", keep_count=1)

    def held_meanwhile() -> bool:
        retention.hold(store_alias(), "agent", "planner", by=ADA)
        return True

    gone = retention.carry_out(of, store_alias(), by=SYSTEM, now=NOW, go_on=held_meanwhile)
    assert gone == Deleted()
    assert snapshots_of("planner") == [0, 10, 20]


def test_the_policy_of_a_namespace_counts_instead_of_the_one_of_all():
    with_snapshots("a", 0, 10, 20, namespace="build")
    with_snapshots("b", 0, 10, 20, namespace="ops")
    with_snapshots("gone", 0, 10, 20)
    models.AgentState.objects.get(agent_id="gone").delete()
    of_build, of_all = policy("snapshots", "build", keep_count=2), policy("snapshots", keep_count=1)
    carry_out(of_all)
    carry_out(of_build)
    assert [len(snapshots_of(name)) for name in ("a", "b", "gone")] == [2, 1, 1]


def test_old_events_go_and_those_of_held_agents_stay():
    for actor, age in (("a", 0), ("a", 20), ("b", 20)):
        make_event(actor_id=actor, timestamp=NOW - age * DAY)
    retention.hold(store_alias(), "agent", "b", by=ADA)
    carry_out(policy("events", keep_seconds=10 * DAY))
    assert sorted(models.Event.objects.values_list("actor_id", flat=True)) == ["a", "b"]


def test_the_audit_log_is_pruned_and_its_chain_goes_on():
    with time_machine.travel(NOW - 10 * DAY, tick=False):
        made = policy("events", keep_seconds=DAY)
    with time_machine.travel(NOW, tick=False):
        of = policy("audit log", keep_seconds=DAY)
        assert audit_chain.verify().is_good
        gone = carry_out(of)
        retention.switch(store_alias(), made.pk, on=False, by=ADA)
    assert gone.rows == 2
    found = audit_chain.verify()
    assert found.faults == []
    assert models.AuditEntry.objects.filter(action="prune").count() == 1


def test_the_guards_of_the_audit_log_are_back_after_a_pruning():
    with time_machine.travel(NOW - 10 * DAY, tick=False):
        policy("events", keep_seconds=DAY)
    carry_out(policy("audit log", keep_seconds=DAY))
    with pytest.raises(Exception, match="append-only"):
        models.AuditEntry.objects.all().delete()


def test_restores_and_their_transitions_stay():
    with_snapshots("planner", 30)
    done = restore.apply(restore.plan("planner", f"snapshot:{models.Snapshot.objects.get().pk}"), by=ADA)
    models.Transition.objects.filter(pk=done.transition_id).update(timestamp=NOW - 5 * DAY)
    for age in range(3):
        make_transition("planner", {"n": age}, {"n": age + 1}, timestamp=NOW - age)
    carry_out(policy("transitions", keep_seconds=DAY))
    assert models.Transition.objects.filter(pk=done.transition_id).exists()


@pytest.mark.parametrize(
    ("table", "namespace", "limits", "message"),
    [
        ("tasks", None, {"keep_count": 1}, "“tasks” has no policies"),
        ("snapshots", None, {}, "needs a limit"),
        ("snapshots", None, {"keep_seconds": 60}, "at least the last hour"),
        ("snapshots", None, {"keep_count": 0}, "must be positive"),
        ("snapshots", None, {"keep_seconds": DAY, "is_tiered": True}, "contradict each other"),
        ("events", None, {"keep_count": 5}, "by age alone"),
        ("audit log", "ops", {"keep_seconds": DAY}, "has no namespace"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_words(
    table: str, namespace: str | None, limits: dict[str, Any], message: str
):
    with pytest.raises(ValidationError, match=message):
        retention.create(store_alias(), table, namespace, Limits(**limits), by=ADA)


def test_a_second_policy_for_the_same_rows_is_refused():
    policy("snapshots", keep_count=1)
    with pytest.raises(Conflict, match="There is a policy for the snapshots of all namespaces already"):
        policy("snapshots", keep_count=2)


def test_a_policy_that_was_deleted_is_not_found():
    made = policy("snapshots", keep_count=1)
    retention.delete(store_alias(), made.pk, by=ADA)
    with pytest.raises(NotFound):
        retention.switch(store_alias(), made.pk, on=True, by=ADA)


def test_the_audit_log_tells_of_policies_holds_and_deletions_in_sentences():
    with_snapshots("planner", 0, 10, 20)
    of = policy("snapshots", "", keep_count=2)
    carry_out(of)
    retention.hold(store_alias(), "agent", "planner", reason="case 7", by=ADA)
    retention.release(store_alias(), "agent", "planner", by=ADA)
    retention.delete(store_alias(), of.pk, by=ADA)
    told = [str(sentence) for sentence in sentences(models.AuditEntry.objects.order_by("id"), Scope())]
    assert told == [
        "ada made the policy for snapshots",
        "ada switched on the policy",
        "system deleted 1 snapshots of Planner by a policy",
        "ada held Planner — case 7",
        "ada took the hold off Planner",
        "ada deleted the policy for snapshots",
    ]


@pytest.mark.parametrize("table", ["snapshots", "transitions", "events", "audit log"])
def test_a_simulation_without_time_says_that_it_is_not_complete(table: str):
    make_transition(with_snapshots("planner", 0, 10 * DAY, 20 * DAY))
    of = policy(table, keep_seconds=DAY)
    assert not retention.simulate(of, now=NOW, seconds=-1).is_complete
    assert retention.simulate(of, now=NOW, seconds=60).is_complete


def test_a_simulation_stops_within_the_rows_of_one_agent(monkeypatch: pytest.MonkeyPatch):
    for number in range(20):
        make_event(actor_id="a", timestamp=NOW - DAY * (2 + number))
    of = policy("events", keep_seconds=DAY)
    ticks = iter(range(1_000))
    monkeypatch.setattr("statestore.retention.simulation.time.monotonic", lambda: next(ticks))
    found = retention.simulate(of, now=NOW, seconds=8)
    assert not found.is_complete
    assert 0 < found.rows < 20


def test_a_policy_that_changed_since_it_was_read_is_neither_switched_nor_changed_nor_deleted():
    made = retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=ADA)
    seen = models.row_hash(made)
    retention.switch(store_alias(), made.pk, on=True, by=ADA, if_match=seen)
    with pytest.raises(Moved):
        retention.switch(store_alias(), made.pk, on=False, by=ADA, if_match=seen)
    with pytest.raises(Moved):
        retention.change(store_alias(), made.pk, {"keep_count": 2}, by=ADA, if_match=seen)
    with pytest.raises(Moved):
        retention.delete(store_alias(), made.pk, by=ADA, if_match=seen)
    assert retention.find(store_alias(), made.pk).is_on


def test_changed_limits_switch_a_policy_off_and_are_told_in_the_audit_log():
    of = policy("snapshots", keep_count=5)
    changed = retention.change(store_alias(), of.pk, {"keep_seconds": 30 * DAY, "keep_count": None}, by=ADA)
    assert (changed.is_on, changed.keep_count, changed.keep_seconds) == (False, None, 30 * DAY)
    entry = models.AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    assert json.loads(entry.after or "") == {"keep_seconds": 30 * DAY, "keep_count": None, "is_on": False}


def test_limits_that_are_not_given_stay_as_another_person_has_set_them_meanwhile():
    of = policy("snapshots", keep_count=5)
    retention.change(store_alias(), of.pk, {"keep_seconds": 30 * DAY}, by=ADA)
    changed = retention.change(store_alias(), of.pk, {"keep_count": 7}, by=ADA)
    assert (changed.keep_seconds, changed.keep_count) == (30 * DAY, 7)


def test_limits_that_are_the_same_change_nothing():
    of, entries = policy("snapshots", keep_count=5), models.AuditEntry.objects.count()
    assert retention.change(store_alias(), of.pk, {"keep_count": 5}, by=ADA).is_on
    assert models.AuditEntry.objects.count() == entries


def test_limits_that_cannot_be_leave_a_policy_as_it_is():
    of = policy("events", keep_seconds=DAY)
    with pytest.raises(ValidationError, match="by age alone"):
        retention.change(store_alias(), of.pk, {"keep_count": 5}, by=ADA)
    assert retention.find(store_alias(), of.pk).is_on


def test_a_hold_is_found_until_it_is_taken_off():
    assert retention.held(store_alias(), "agent", "a1") is None
    retention.hold(store_alias(), "agent", "a1", reason="a court asked", by=ADA)
    found = retention.held(store_alias(), "agent", "a1")
    assert found is not None
    assert (found.actor, found.reason) == ("ada", "a court asked")
    retention.release(store_alias(), "agent", "a1", by=ADA)
    assert retention.held(store_alias(), "agent", "a1") is None


def test_a_simulation_names_first_who_loses_most_and_no_more_than_a_hundred():
    for number in range(103):
        with_snapshots(f"agent-{number:03}", 0, 10, *(range(20, 50, 10) if number == 77 else ()))
    found = retention.simulate(policy("snapshots", keep_count=1), now=NOW)
    assert (found.agents, found.rows) == (103, 106)
    assert found.largest[0].agent_id == "agent-077"
    assert len(found.largest) == 100
