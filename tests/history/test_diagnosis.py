"""A diagnosis says since when an agent is in trouble and what began it, from its records, and claims no more."""

import itertools
from typing import Any

import pytest

from statestore import history, models, restore
from statestore.access.audit import Actor
from statestore.history import limits
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

SILENT_SINCE = NOW + 500


def diagnosed(agent: models.AgentState) -> Any:
    return history.diagnose(agent, silent_since=SILENT_SINCE)


def failing(reasons: list[str | None], **columns: Any) -> models.AgentState:
    """Return a failed agent with a transition for each reason, one each minute."""
    agent = make_agent("a", status="failed", **columns)
    for number, reason in enumerate(reasons):
        make_transition(agent, {"n": number}, {"n": number + 1}, reason=reason, timestamp=NOW + 60 * number)
    return agent


@pytest.mark.parametrize(
    "columns", [{"status": "idle"}, {"status": "completed"}, {"status": "running", "updated_at": SILENT_SINCE + 1}]
)
def test_an_agent_that_is_well_has_none(columns: dict[str, Any]):
    agent = make_agent("a", **columns)
    make_transition(agent, {"n": 1}, {"n": 2}, reason="again 1", timestamp=NOW)
    make_transition(agent, {"n": 2}, {"n": 3}, reason="again 2", timestamp=NOW + 1)
    assert diagnosed(agent) is None


def test_a_run_of_equal_reasons_is_told_with_what_came_before_it():
    found = diagnosed(failing(["all is well", "context lost", "tool error (1 in a row)", "tool error (2 in a row)"]))
    assert (found.has_failed, found.is_silent) == (True, False)
    assert (found.run.reason, found.run.count, found.run.is_longer) == ("tool error (‹1–2› in a row)", 2, False)
    assert (found.run.first.timestamp, found.run.last.timestamp) == (NOW + 120, NOW + 180)
    assert found.began.reason == "context lost"
    assert (found.transitions, found.snapshots) == (4, 0)


def test_without_a_run_it_began_with_the_last_change():
    found = diagnosed(failing(["well", "context lost"]))
    assert (found.run, found.began.reason) == (None, "context lost")


def test_a_run_from_the_first_record_on_has_no_beginning():
    found = diagnosed(failing(["error 1", "error 2", "error 3"]))
    assert (found.run.count, found.began) == (3, None)


@pytest.mark.parametrize("reasons", [[], [None], [None, None], ["", ""]])
def test_records_that_say_nothing_are_no_run(reasons: list[str | None]):
    found = diagnosed(failing(reasons))
    assert found.run is None
    assert found.transitions == len(reasons)
    assert (found.last is None) == (not reasons)


def test_the_last_snapshot_before_it_is_told_not_a_later_one():
    agent = failing(["context lost", "error 1", "error 2"])
    make_snapshot(agent, {}, description="before", created_at=NOW - 5)
    make_snapshot(agent, {}, description="in its second", created_at=NOW)
    make_snapshot(agent, {}, description="after", created_at=NOW + 90)
    found = diagnosed(agent)
    assert (found.snapshot.description, found.snapshots) == ("before", 3)


def test_an_active_agent_that_has_not_changed_is_silent():
    agent = make_agent("a", status="thinking", updated_at=SILENT_SINCE)
    found = diagnosed(agent)
    assert (found.is_silent, found.has_failed, found.transitions) == (True, False, 0)


def test_a_state_that_grew_tenfold_in_an_hour_is_told_with_what_made_it_grow():
    agent = make_agent("a", status="running", updated_at=NOW + 10_000)
    sizes = [500, 600, 150_000, 151_000]
    for number, (before, after) in enumerate(itertools.pairwise(sizes)):
        make_transition(agent, "x" * before, "x" * after, reason=f"step {'abc'[number]}", timestamp=NOW + 60 * number)
    found = diagnosed(agent)
    assert (found.growth.before, found.growth.after) == (500, 151_000)
    assert found.began.reason == "step b"
    long_ago = make_agent("b", status="running", updated_at=NOW + 10_000)
    make_transition(long_ago, "x" * 500, "x" * 150_000, timestamp=NOW)
    make_transition(long_ago, "x" * 150_000, "x" * 150_001, timestamp=NOW + limits.GROWTH_SECONDS)
    assert diagnosed(long_ago) is None


def test_a_state_that_three_transitions_left_as_it_was_is_told():
    agent = make_agent("a", status="running", updated_at=NOW + 10_000)
    for number in range(3):
        assert diagnosed(agent) is None
        make_transition(agent, {"n": 1}, {"n": 1}, reason=f"step {'abc'[number]}", timestamp=NOW + number)
    assert diagnosed(agent).is_unchanged
    make_transition(agent, {"n": 1}, {"n": 2}, reason="step d", timestamp=NOW + 4)
    assert diagnosed(agent) is None


def test_of_a_long_past_the_newest_transitions_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "DIAGNOSED_TRANSITIONS", 3)
    found = diagnosed(failing(["well", *(f"error {number}" for number in range(5))]))
    assert (found.run.count, found.run.is_longer, found.began, found.transitions) == (3, True, None, 3)


def test_a_restore_and_its_undo_are_left_out():
    agent = failing(["all is well", "context lost", "tool error 1", "tool error 2"], state={"n": 4})
    snapshot = make_snapshot(agent, {"n": 1}, created_at=NOW + 30, description="before")
    by = Actor("ada")
    for _ in range(2):
        restore.undo(restore.apply(restore.plan("a", f"snapshot:{snapshot.pk}"), by=by), by=by)
    agent.refresh_from_db()
    found = diagnosed(agent)
    assert (found.run.count, found.began.reason) == (2, "context lost")
    assert (found.snapshot.pk, found.transitions) == (snapshot.pk, 8)
    again = restore.apply(restore.plan("a", f"snapshot:{snapshot.pk}"), by=by)
    agent.refresh_from_db()
    assert diagnosed(agent).began.pk == again.transition_id, "it stands"
