"""Plan, apply, verify, undo."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.db import fast_rows
from statestore.db.routers import store_alias
from statestore.errors import Conflict, DatabaseError, Moved, NotFound, ValidationError
from tests.builders import make_agent, make_session, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

ADA = Actor("ada", "127.0.0.1")
# What Python's json would change: a huge number, a negative zero, a long fraction, a key twice, odd spaces.
ODD_JSON = '{"a": 1e400, "b":-0, "c": 0.1000000000000000055511151231257827, "a":  1}'


def test_restore_puts_the_state_back_byte_for_byte():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, ODD_JSON)
    restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    agent.refresh_from_db()
    assert agent.state_data == ODD_JSON


def test_restore_keeps_what_it_overwrites_as_a_snapshot_and_a_transition():
    agent = make_agent(state={"step": 9})
    outgoing = agent.state_data
    snapshot = make_snapshot(agent, {"step": 1}, description="before refactor")
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA, reason="lost its goal")
    safety = models.Snapshot.objects.get(pk=done.safety_snapshot_id)
    transition = models.Transition.objects.get(pk=done.transition_id)
    assert (safety.state_data, safety.agent_id) == (outgoing, agent.agent_id)
    assert (transition.state_before, transition.state_after) == (outgoing, snapshot.state_data)
    assert transition.reason == "restored to snapshot “before refactor” — lost its goal"


def test_restore_refuses_an_agent_that_moved_and_writes_nothing():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    # In the same second, with the same version: only the hash can tell.
    models.AgentState.objects.filter(pk=agent.pk).update(state_data='{"step": 10}')
    with pytest.raises(Conflict, match=r"has changed since your preview\. Nothing was written"):
        restore.apply(planned, by=ADA)
    assert models.AgentState.objects.get(pk=agent.pk).state_data == '{"step": 10}'
    assert not models.Transition.objects.exists()
    assert not models.Restore.objects.exists()
    assert not models.AuditEntry.objects.exists()
    assert models.Snapshot.objects.count() == 1


def test_restore_refuses_a_change_of_status_alone():
    agent = make_agent()
    snapshot = make_snapshot(agent, {"step": 0})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    models.AgentState.objects.filter(pk=agent.pk).update(status="running")
    with pytest.raises(Conflict):
        restore.apply(planned, by=ADA)


def test_restore_is_audited_with_both_hashes():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    etag = agent.etag()
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA, reason="why")
    entry = models.AuditEntry.objects.get()
    assert (entry.actor, entry.ip_address) == ("ada", "127.0.0.1")
    assert (entry.action, entry.row_id) == ("restore", agent.agent_id)
    assert entry.hash_before == etag
    assert entry.hash_after == models.AgentState.objects.get(pk=agent.pk).etag()
    assert done.pk in entry.detail


@pytest.mark.parametrize("side", ["before", "after"])
def test_either_side_of_a_transition_can_be_restored(side: str):
    agent = make_agent(state={"step": 9})
    transition = make_transition(agent, {"step": 3}, {"step": 4})
    done = restore.apply(restore.plan(agent.agent_id, f"transition:{transition.pk}:{side}"), by=ADA)
    agent.refresh_from_db()
    assert agent.state_data == getattr(transition, f"state_{side}")
    assert done.moment == f"transition:{transition.pk}:{side}"


def test_undo_puts_back_what_was_overwritten_and_undo_of_undo_redoes_it():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    first = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    undone = restore.undo(first, by=ADA)
    agent.refresh_from_db()
    assert (agent.state_data, undone.undoes_id) == ('{"step": 9}', first.pk)
    restore.undo(undone, by=ADA)
    agent.refresh_from_db()
    assert agent.state_data == snapshot.state_data


def test_the_undo_says_what_it_undid():
    agent = make_agent("coder", state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1}, description="before refactor")
    done = restore.apply(restore.plan("coder", f"snapshot:{snapshot.pk}"), by=ADA)
    undone = restore.undo(done, by=ADA, reason="not that one")
    reasons = dict(models.Transition.objects.values_list("pk", "reason"))
    assert reasons[done.transition_id] == "restored to snapshot “before refactor”"
    assert reasons[undone.transition_id] == "undo: restored to snapshot “before refactor” — not that one"
    models.Transition.objects.filter(pk=undone.transition_id).delete()
    again = restore.undo(undone, by=ADA)
    assert models.Transition.objects.get(pk=again.transition_id).reason == "undo of a restore"


def test_undo_refuses_an_agent_that_moved():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    seen = models.AgentState.objects.get(pk=agent.pk).etag()
    models.AgentState.objects.filter(pk=agent.pk).update(state_data='{"step": 2}')
    with pytest.raises(Conflict):
        restore.undo(done, by=ADA, expected_etag=seen)
    assert models.AgentState.objects.get(pk=agent.pk).state_data == '{"step": 2}'


def test_a_restore_that_cannot_be_read_back_is_rolled_back(monkeypatch: pytest.MonkeyPatch):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    monkeypatch.setattr(fast_rows, "update", lambda *written: None)  # The database says yes, and keeps what it had.
    with pytest.raises(DatabaseError, match="state read back differs"):
        restore.apply(planned, by=ADA)
    assert models.AgentState.objects.get(pk=agent.pk).state_data == '{"step": 9}'
    assert not models.Restore.objects.exists()


def test_a_restore_in_one_call_is_one_transaction_that_reads_the_agent_once_and_once_more_to_prove_it():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        done = restore.restore_now(snapshot, by=ADA, reason="lost its goal")
    assert sum('FROM "agent_states"' in query["sql"] for query in asked) == 2
    agent.refresh_from_db()
    assert agent.state_data == snapshot.state_data
    assert restore.verify(done).in_force
    assert models.AuditEntry.objects.get(action="restore").hash_after == agent.etag()


def test_a_restore_in_one_call_honours_the_etag():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    with pytest.raises(Moved) as moved:
        restore.restore_now(snapshot, by=ADA, if_match="0" * 64)
    assert moved.value.etag == agent.etag()
    assert not models.Restore.objects.exists()
    assert restore.restore_now(snapshot, by=ADA, if_match=agent.etag())


def test_the_undo_of_a_restore_is_found_among_the_restores_of_its_agent(on_sqlite: bool):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    done = restore.restore_now(snapshot, by=ADA)
    undone = restore.undo(done, by=ADA)
    rows = models.Restore.objects.with_undo()
    assert {row.pk: row.undone_by for row in rows} == {done.pk: undone.pk, undone.pk: None}
    if on_sqlite:
        assert "SEARCH U0 USING INDEX dash_restore_agent" in rows.newest_first()[:50].explain()


def test_a_restore_knows_whether_it_still_stands():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    assert restore.verify(done).in_force
    assert models.Restore.objects.with_standing().get().stands
    models.AgentState.objects.filter(pk=agent.pk).update(state_data="{}", updated_at=done.at + 50)
    standing = restore.verify(done)
    assert (standing.in_force, standing.overwritten_at) == (False, done.at + 50)
    assert not models.Restore.objects.with_standing().get().stands


def test_the_transition_that_overwrote_a_restore_is_named():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    models.AgentState.objects.filter(pk=agent.pk).update(state_data="{}")
    make_transition(agent, {"step": 1}, {}, timestamp=done.at - 100, reason="earlier")
    later = make_transition(agent, {"step": 1}, {}, timestamp=done.at, reason="the same second, but later")
    assert restore.verify(done).overwritten_by == later


def test_a_restore_of_an_agent_that_is_gone_says_so():
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    done = restore.apply(restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}"), by=ADA)
    models.AgentState.objects.all().delete()
    assert restore.verify(done).agent_gone
    with pytest.raises(NotFound, match="orchestrator deleted this agent"):
        restore.plan_undo(done)


def test_what_warns_is_done_at_once_only_when_confirmed():
    agent = make_agent(state={"step": 9}, status="running")
    snapshot = make_snapshot(agent, {"step": 1})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    assert restore.apply_at_once(planned, agent.etag(), by=ADA, confirmed=False) is None
    assert not models.AuditEntry.objects.exists()
    assert restore.apply_at_once(planned, agent.etag(), by=ADA, confirmed=True) == models.Restore.objects.get()


def test_an_etag_that_is_not_the_plans_is_a_conflict_whatever_warns():
    agent = make_agent(state={"step": 9}, status="running")
    planned = restore.plan(agent.agent_id, f"snapshot:{make_snapshot(agent, {'step': 1}).pk}")
    with pytest.raises(Conflict):
        restore.apply_at_once(planned, "0" * 64, by=ADA, confirmed=False)


def warnings_of(agent: models.AgentState, snapshot: models.Snapshot) -> set[str]:
    return {warning.kind for warning in restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}").warnings}


def test_nothing_warns_about_an_idle_agent_that_has_long_been_quiet():
    agent = make_agent(state={"step": 9})
    assert warnings_of(agent, make_snapshot(agent, {"step": 1})) == set()


def test_what_speaks_against_a_restore_is_named():
    agent = make_agent(state={"step": 9}, status="running", updated_at=models.now())
    make_session(agent, ended_at=None)
    snapshot = make_snapshot(agent, {"step": 1}, expires_at=1)
    assert warnings_of(agent, snapshot) == {"running", "fresh", "session", "expired"}


@pytest.mark.parametrize(
    ("then", "words"),
    [('{"goal": 1}', "without “step”, with “goal”"), ("[1]", "JSON"), ("plain text", "JSON")],
)
def test_a_state_of_another_shape_warns(then: str, words: str):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, then)
    (warning,) = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}").warnings
    assert warning.kind == "shape"
    assert words in warning.text


def test_another_agents_snapshot_is_not_found():
    agent, other = make_agent(), make_agent()
    snapshot = make_snapshot(other)
    with pytest.raises(NotFound, match="not found for this agent"):
        restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")


@pytest.mark.parametrize("moment", ["", "yesterday", "snapshot:", "transition:x", "transition:x:middle", "at:never"])
def test_a_moment_that_cannot_be_read_is_refused(moment: str):
    agent = make_agent()
    with pytest.raises(ValidationError):
        restore.plan(agent.agent_id, moment)
