"""The state at a time is the row's from its last save on, and in doubt where a later record shows another state."""

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import history, models, restore
from statestore.access.audit import SYSTEM
from statestore.history import KnownState, moments
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db


def state_at(agent: models.AgentState, seconds: int) -> KnownState:
    """Return the state so many seconds after NOW, which is the same for one agent and for many."""
    known = history.state_at(agent.agent_id, moments.AtTime(NOW + seconds))
    assert history.states_at([agent], NOW + seconds) == {agent.agent_id: known}
    return known


def make_saved_later() -> models.AgentState:
    """Return an agent whose only transition is older than its last save."""
    agent = make_agent("a1", state="saved", updated_at=NOW + 400)
    make_transition(agent, "first", "second", timestamp=NOW + 200)
    return agent


def test_the_row_is_the_state_from_its_last_save_on():
    agent = make_saved_later()
    for seconds in (400, 450, models.now() - NOW):
        assert (state_at(agent, seconds).text, state_at(agent, seconds).is_exact) == ("saved", True)
    known = state_at(agent, 399)
    assert (known.text, known.doubt_until) == ("second", NOW + 400)


def test_the_row_is_the_state_even_if_the_last_transition_is_younger_and_led_elsewhere():
    agent = make_agent("a1", state="saved", updated_at=NOW + 400)
    make_transition(agent, "first", "second", timestamp=NOW + 500)
    assert state_at(agent, 600).text == history.state_at("a1", moments.Now()).text == "saved"
    stop = history.stop_at(agent, moments.AtTime(NOW + 600))
    assert stop is not None
    assert stop.kind == "now"


def test_a_snapshot_younger_than_the_last_save_does_not_hide_it():
    agent = make_saved_later()
    make_snapshot(agent, "saved", created_at=NOW + 500)
    assert state_at(agent, 450).text == "saved"
    stop = history.stop_at(agent, moments.AtTime(NOW + 450))
    assert stop is not None
    assert history.state_at("a1", stop.moment).text == "saved"
    older, newer = history.neighbours(agent, stop)
    assert (older and older.kind, newer and newer.kind) == ("transition", "snapshot")


def test_a_fleet_restored_to_now_rolls_no_agent_back():
    make_saved_later()
    (verdict,) = restore.preview_batch(models.AgentState.objects.all(), models.now())
    assert verdict.kind == "unchanged"


@pytest.mark.parametrize(
    ("records", "seconds", "text", "doubt_until"),
    [
        ([("snapshot", 100, "A"), ("snapshot", 200, "B"), ("snapshot", 300, "A")], 199, "A", 200),
        ([("snapshot", 100, "A"), ("snapshot", 200, "B"), ("snapshot", 300, "A")], 250, "B", 300),
        ([("snapshot", 100, "A"), ("snapshot", 200, "A"), ("snapshot", 300, "B")], 150, "A", None),
        ([("transition", 100, "A"), ("snapshot", 200, "B")], 150, "A", 200),
        ([("transition", 100, "A"), ("snapshot", 200, "A")], 150, "A", None),
        ([("captured", 100, "A"), ("snapshot", 200, "B")], 150, "A", 200),
        # The first of these starts from another state than the one that is known, the second from that.
        ([("snapshot", 100, "A"), ("transition", 200, "C")], 150, "A", 200),
        ([("transition", 100, "before C"), ("transition", 200, "C")], 150, "before C", None),
        ([("snapshot", 100, "A"), ("captured", 200, "C")], 150, "A", 200),
        # The row, saved at 400, holds "now".
        ([("snapshot", 100, "A")], 150, "A", 400),
        ([("snapshot", 100, "now")], 150, "now", None),
        # One record of the next second shows the state: it may be the first of them.
        ([("snapshot", 100, "A"), ("snapshot", 200, "A"), ("transition", 200, "C")], 150, "A", None),
    ],
)
def test_a_state_is_in_doubt_until_the_next_record_if_that_shows_another_one(
    records: list[tuple[str, int, str]], seconds: int, text: str, doubt_until: int | None
):
    agent = make_agent("a1", state="now", updated_at=NOW + 400)
    for kind, at, state in records:
        make_record(agent, kind, NOW + at, state)
    known = state_at(agent, seconds)
    assert known.text == text
    assert known.doubt_until == (None if doubt_until is None else NOW + doubt_until)
    assert known.is_exact == (doubt_until is None)


def make_record(agent: models.AgentState, kind: str, at: int, state: str) -> Any:
    """Return a record that shows a state; a change to it starts from another one."""
    if kind == "snapshot":
        return make_snapshot(agent, state, created_at=at)
    if kind == "transition":
        return make_transition(agent, f"before {state}", state, timestamp=at)
    return models.CapturedChange.objects.create(
        agent_id=agent.agent_id, at=at, state_before=f"before {state}", state_after=state
    )


def test_the_batch_asks_as_often_for_many_agents_as_for_one(django_assert_num_queries: Any):
    agents = [make_agent(state="now", updated_at=NOW + 400) for _ in range(20)]
    for agent in agents:
        for kind, at in (
            ("transition", 100),
            ("captured", 150),
            ("snapshot", 200),
            ("transition", 300),
            ("captured", 400),
        ):
            make_record(agent, kind, NOW + at, kind)
    with django_assert_num_queries(7, using="store"):
        assert len(history.states_at(agents, NOW + 250)) == 20


def test_without_captures_their_expensive_query_is_not_asked(django_assert_num_queries: Any):
    agents = [make_agent(state="now", updated_at=NOW + 400) for _ in range(2)]
    for agent in agents:
        for kind, at in (("transition", 100), ("snapshot", 200), ("transition", 300)):
            make_record(agent, kind, NOW + at, kind)
    with django_assert_num_queries(5, using="store"):
        assert len(history.states_at(agents, NOW + 250)) == 2
    with CaptureQueriesContext(connections["store"]) as asked:
        history.state_at(agents[0].agent_id, moments.AtTime(NOW + 250))
    of_captures = [
        query["sql"] for query in asked.captured_queries if models.CapturedChange._meta.db_table in query["sql"]
    ]
    assert len(of_captures) == 1, "only whether anything was captured is asked"


def test_after_a_restore_and_its_undo_in_one_second_list_steps_and_times_agree(monkeypatch: pytest.MonkeyPatch):
    agent = make_agent("a1", state="new", updated_at=NOW)
    snapshot = make_snapshot(agent, "old", created_at=NOW)
    monkeypatch.setattr(models, "now", lambda: NOW + 100)
    restored = restore.apply(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=SYSTEM)
    restore.undo(restored, by=SYSTEM)
    agent.refresh_from_db()
    listed = history.timeline("a1", limit=9)[0]
    shown = [(record.kind, history.state_at("a1", record.moment).text) for record in listed]
    assert shown == [
        ("transition", "new"), ("snapshot", "old"), ("transition", "old"), ("snapshot", "new"), ("snapshot", "old"),
    ]  # fmt: skip
    stop, stepped = history.stop_at(agent, moments.Now()), []
    while stop is not None:
        stepped.append(stop.position)
        stop = history.neighbours(agent, stop)[0]
    assert stepped == [record.position for record in listed]
    assert (state_at(agent, 100).text, state_at(agent, 100).is_exact) == ("new", True)
