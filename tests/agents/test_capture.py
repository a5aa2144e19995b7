"""Capture: triggers see each real change, however it is written, and the past is read from what they kept."""

from typing import Any

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from statestore import history, models, restore
from statestore.access.audit import SYSTEM
from statestore.agents import capture
from statestore.agents import limits as agents_limits
from statestore.db.routers import store_alias
from statestore.history import moments
from statestore.jsondiff import predicate
from statestore.store import StateStore
from tests.builders import make_agent, make_transition
from tests.faults.scale import times

pytestmark = pytest.mark.django_db


@pytest.fixture
def capturing(db: None) -> None:
    capture.switch_on(by=SYSTEM)


def execute(sql: str, *parameters: Any) -> None:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(sql, parameters)


def changes(agent_id: str = "a1") -> list[tuple[str | None, str | None]]:
    rows = models.CapturedChange.objects.filter(agent_id=agent_id).order_by("id")
    return list(rows.values_list("state_before", "state_after"))


def replace(state: str, agent_id: str = "a1") -> None:
    """Save as the orchestrator does."""
    execute(
        "INSERT OR REPLACE INTO agent_states (key, agent_id, name, status, metadata, state_data, version, created_at,"
        " updated_at) VALUES (%s, %s, 'A', 'idle', '{}', %s, 1, 1, 2)", agent_id, agent_id, state,
    )  # fmt: skip


@pytest.mark.sqlite
def test_a_replaced_row_is_seen_and_the_same_state_again_is_no_change(capturing: None):
    for state in ("one", "two", "two", "three"):
        replace(state)
    assert changes() == [("one", "two"), ("two", "three")]


@pytest.mark.sqlite
def test_an_upsert_is_seen_once(capturing: None):
    make_agent("a1", state="one")
    execute(
        "INSERT INTO agent_states (key, agent_id, name, state_data, created_at, updated_at)"
        " VALUES ('a1', 'a1', 'A', 'two', 1, 2)"
        " ON CONFLICT (key) DO UPDATE SET state_data = excluded.state_data",
    )
    assert changes() == [("one", "two")]


def test_an_update_of_the_state_is_seen_and_one_of_other_columns_is_not(capturing: None):
    make_agent("a1", state="one")
    execute("UPDATE agent_states SET status = 'failed'")
    execute("UPDATE agent_states SET state_data = 'two'")
    execute("UPDATE agent_states SET state_data = 'two', status = 'idle'")
    assert changes() == [("one", "two")]


def test_a_change_too_long_leaves_only_its_time(settings: Any):
    settings.CAPTURE_MAX_BYTES = 10
    capture.switch_on(by=SYSTEM)
    make_agent("a1", state="é" * 5)
    execute("UPDATE agent_states SET state_data = 'x'")
    assert changes() == [(None, None)]
    assert capture.status().skipped == 1
    assert history.timeline("a1", limit=5) == ([], None)


def test_only_the_newest_changes_stay(settings: Any):
    settings.CAPTURE_ROWS = 3
    capture.switch_on(by=SYSTEM)
    make_agent("a1", state="0")
    for number in range(1, 8):
        execute("UPDATE agent_states SET state_data = %s", str(number))
    assert changes() == [("4", "5"), ("5", "6"), ("6", "7")]


def test_switched_off_nothing_is_seen_and_what_was_kept_stays(capturing: None):
    make_agent("a1", state="one")
    execute("UPDATE agent_states SET state_data = 'two'")
    capture.switch_off(by=SYSTEM)
    execute("UPDATE agent_states SET state_data = 'three'")
    assert changes() == [("one", "two")]
    assert not capture.status().is_on
    assert [entry.action for entry in models.AuditEntry.objects.newest_first()] == ["capture off", "capture on"]


def test_switching_on_twice_leaves_it_on(capturing: None):
    capture.switch_on(by=SYSTEM)
    make_agent("a1", state="one")
    execute("UPDATE agent_states SET state_data = 'two'")
    assert len(changes()) == 1


def test_captured_changes_read_as_transitions_everywhere(capturing: None):
    agent = make_agent("a1", state='{"mode": "ok", "n": 1}')
    execute("""UPDATE agent_states SET state_data = '{"mode": "stuck", "n": 1}'""")
    execute("""UPDATE agent_states SET state_data = '{"mode": "stuck", "n": 2}'""")
    agent.refresh_from_db()
    first, second = models.CapturedChange.objects.order_by("id")
    assert [entry.kind for entry in history.timeline("a1", limit=5)[0]] == ["captured", "captured"]
    origins = history.blame(agent).origins
    assert origins["/mode"].step_id == f"captured:{first.pk}"
    assert origins["/n"].step_id == f"captured:{second.pk}"
    flips = history.bisect(agent, predicate.parse('/mode = "stuck"'))
    assert flips.first is not None
    assert flips.first.origin.step_id == f"captured:{first.pk}"
    moment = moments.parse(f"transition:captured:{first.pk}:before")
    assert history.state_at("a1", moment).text == '{"mode": "ok", "n": 1}'
    stop = history.stop_at(agent, moments.Now())
    assert stop is not None
    older, _ = history.neighbours(agent, stop)
    assert (stop.row, older and older.row) == (second, first)
    restore.apply(restore.plan("a1", moment), by=SYSTEM)
    assert models.AgentState.objects.get().state_data == '{"mode": "ok", "n": 1}'


def test_the_state_at_a_time_is_known_from_what_was_captured(capturing: None):
    make_agent("a1", state="one")
    execute("UPDATE agent_states SET state_data = 'two'")
    models.CapturedChange.objects.update(at=1_790_000_100)
    known = history.state_at("a1", moments.AtTime(1_790_000_200))
    assert (known.text, known.is_exact) == ("two", True)


def test_a_change_that_is_recorded_too_is_told_once(capturing: None):
    store = StateStore()
    store.save_agent_state("a1", "one")
    store.save_agent_state("a1", "two", reason="why")
    assert len(changes()) == 1
    assert [entry.kind for entry in history.timeline("a1", limit=5)[0]] == ["transition"]


@settings(max_examples=times(80, 5_000))
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=8))
def test_a_walk_through_recorded_and_captured_changes_has_no_gaps(steps: list[tuple[bool, int]]):
    """Each change is either recorded or captured, a second later than the one before."""
    models.CapturedChange.objects.all().delete()
    models.Transition.objects.all().delete()
    models.AgentState.objects.all().delete()
    agent, state = make_agent("a1", state="0"), "0"
    for second, (is_recorded, number) in enumerate(steps):
        before, state = state, f"{number} at {second}"
        if is_recorded:
            make_transition(agent, before, state, timestamp=1_790_000_000 + second * 10)
        else:
            models.CapturedChange.objects.create(
                agent_id="a1", at=1_790_000_000 + second * 10, state_before=before, state_after=state
            )
    agent.state_data = state
    agent.save()
    entries, older = history.timeline("a1", limit=100)
    assert [entry.kind for entry in entries] == ["transition" if one else "captured" for one, _ in reversed(steps)]
    assert older is None
    found = history.path_history(agent, "", budget_seconds=None)
    assert [change.origin.step_id is None for change in found.changes] == [False] * len(steps)


def test_the_cost_is_measured_for_small_and_large_states():
    costs = capture.measure()
    assert [cost.size_bytes for cost in costs] == list(agents_limits.MEASURED_BYTES)
    assert [cost.is_kept for cost in costs] == [True, True, False]
    assert all(cost.with_ms > 0 for cost in costs)
