"""One order of an agent's past: what each stop shows is the state at its moment, in whatever way one gets there."""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import limits as history_limits
from statestore.history import moments
from statestore.history.past import Past, Position, Record
from statestore.history.timeline import own_record
from statestore.history.walk import HistoryWalk
from tests.builders import NOW, make_agent
from tests.examples import thoroughly_on_the_store

pytestmark = pytest.mark.django_db

numbers = itertools.count()
# What happens: a reported change, one that only a trigger saw, one that nothing saw, a snapshot, a restore.
deeds = st.lists(
    st.tuples(
        st.sampled_from(["transition", "captured", "unseen", "snapshot", "restore"]),
        st.integers(0, 3),
        st.sampled_from([0, 0, 0, 1]),
    ),
    max_size=9,
)


@dataclass
class Life:
    """An agent to which things happen, and what its state was after each of them."""

    agent_id: str
    at: int = NOW
    state: str = "0"
    # In the order in which they happened: (kind, key, state before, state after).
    told: list[tuple[str, Any, str, str]] = field(default_factory=list)

    def do(self, deed: str, value: int) -> None:
        before, after = self.state, self.state if deed == "snapshot" else str(value)
        self.state = after
        if deed == "restore":
            safety = self._snapshot(before)
            transition = self._transition(before, after)
            models.Restore.objects.create(
                agent_id=self.agent_id, at=self.at, actor="ada", moment="now", hash_before="", hash_after="",
                safety_snapshot_id=safety, transition_id=transition,
            )  # fmt: skip
        elif deed == "transition":
            self._transition(before, after)
        elif deed == "snapshot":
            self._snapshot(before)
        elif deed == "captured":
            row = models.CapturedChange.objects.create(
                agent_id=self.agent_id, at=self.at, state_before=before, state_after=after
            )
            self.told.append(("captured", row.pk, before, after))

    def _transition(self, before: str, after: str) -> Any:
        row = models.Transition.objects.create(
            agent_id=self.agent_id, state_before=before, state_after=after, timestamp=self.at
        )
        self.told.append(("transition", row.pk, before, after))
        return row.pk

    def _snapshot(self, state: str) -> Any:
        row = models.Snapshot.objects.create(agent_id=self.agent_id, state_data=state, created_at=self.at)
        self.told.append(("snapshot", row.pk, state, state))
        return row.pk


def lived(happened: list[tuple[str, int, int]]) -> tuple[models.AgentState, Life]:
    """Return an agent to which some things happened, each so many seconds after the one before."""
    life = Life(f"life-{next(numbers)}")
    for deed, value, seconds in happened:
        life.at += seconds
        life.do(deed, value)
    return make_agent(life.agent_id, state=life.state, created_at=NOW, updated_at=life.at), life


def stepped(agent: models.AgentState) -> list[Record]:
    """Return the stops that one meets who steps back from now to the beginning."""
    stop = history.stop_at(agent, moments.Now())
    stops: list[Record] = []
    while stop is not None:
        stops.append(stop)
        assert len(stops) < 100, "stepping back goes in a circle"
        stop = history.neighbours(agent, stop)[0]
    return stops


def text_of(agent: models.AgentState, stop: Record) -> str:
    return history.state_at(agent.agent_id, stop.moment).text


@thoroughly_on_the_store
@given(deeds)
def test_a_stop_shows_the_state_of_its_moment_whatever_happened_in_its_second(happened: list[tuple[str, int, int]]):
    agent, life = lived(happened)
    records = Past(agent.agent_id).page(100)
    states = {(kind, str(key)): after for kind, key, _, after in life.told}
    # Every record once, and each tells the state that was recorded.
    assert {record.position for record in records} == {record.position for record in records}
    assert len(records) == len([one for one in records if (one.kind, str(one.row.pk)) in states])
    for record in records:
        assert text_of(agent, record) == states[record.kind, str(record.row.pk)]
    # Stepping back and forth meets the same records in the same order.
    stops = stepped(agent)
    own = own_record(agent, records[0] if records else None, store_alias())
    assert [stop.kind for stop in stops[: len(stops) - len(records)]] == (["now"] if own else [])
    assert [stop.position for stop in stops if stop.kind != "now"] == [record.position for record in records]
    for newer, older in itertools.pairwise(stops):
        assert history.neighbours(agent, older)[1] == newer
    # At the end of any second the state is that of the last stop in it.
    for second in range(NOW - 1, life.at + 2):
        stop = history.stop_at(agent, moments.AtTime(second))
        try:
            known = history.state_at(agent.agent_id, moments.AtTime(second))
        except NotFound:
            assert stop is None
            assert not history.states_at([agent], second)
            continue
        assert stop is not None
        assert known.text == text_of(agent, stop)
        assert history.states_at([agent], second) == {agent.agent_id: known}
    # Pages of any size tell the list once, in that order.
    pages: list[Record] = []
    cursor: str | None = ""
    while cursor is not None:
        entries, cursor = history.timeline(agent.agent_id, cursor=cursor, limit=2)
        pages += entries
    assert [record.position for record in pages] == [record.position for record in records]


@thoroughly_on_the_store
@given(deeds)
def test_the_walk_reads_the_changes_in_the_order_of_the_past(happened: list[tuple[str, int, int]]):
    agent, _ = lived(happened)
    changes = [record for record in Past(agent.agent_id).page(100) if record.kind != "snapshot"]
    walked: list[Position] = []
    start: Position | None = None
    while True:
        walk = HistoryWalk(agent.agent_id, start=start, budget_seconds=0)
        walked += [step.position for step in walk]
        start = walk.reached
        if start is None:
            break
    assert walked == [record.position for record in changes]


@thoroughly_on_the_store
@given(st.lists(st.tuples(st.sampled_from(["transition", "captured", "snapshot"]), st.booleans()), max_size=8))
def test_in_one_second_what_fits_is_put_together_as_it_happened(happened: list[tuple[str, bool]]):
    """Each change leads to a state that was never before: then the texts alone tell the order."""
    states = itertools.count(1)
    agent, life = lived([(deed, next(states), 0) for deed, _ in happened])
    told = [(kind, str(key)) for kind, key, _, _ in life.told]
    changes = [one for one in told if one[0] != "snapshot"]
    ordered = [(record.kind, str(record.row.pk)) for record in reversed(Past(agent.agent_id).page(100))]
    assert [one for one in ordered if one[0] != "snapshot"] == changes
    for place, (kind, key) in enumerate(ordered):
        if kind == "snapshot" and changes:
            state = next(after for other, number, _, after in life.told if (other, str(number)) == (kind, key))
            before = [after for other, number, _, after in life.told if (other, str(number)) in ordered[:place]]
            assert not before or before[-1] == state or state == "0"


def test_after_a_restore_one_steps_back_to_its_transition_and_then_to_its_safety_snapshot():
    agent, _ = lived([("transition", 1, 0), ("restore", 2, 1)])
    assert [stop.kind for stop in stepped(agent)] == ["transition", "snapshot", "transition"]
    assert [text_of(agent, stop) for stop in stepped(agent)] == ["2", "1", "1"]


def test_a_state_that_nothing_recorded_is_a_stop_of_its_own():
    agent, life = lived([("transition", 1, 0), ("unseen", 2, 5)])
    assert [stop.kind for stop in stepped(agent)] == ["now", "transition"]
    known = history.state_at(agent.agent_id, moments.AtTime(life.at))
    assert (known.text, known.is_exact) == ("2", True)
    assert history.state_at(agent.agent_id, moments.AtTime(life.at - 1)).doubt_until == life.at


def test_a_second_with_many_records_of_each_kind_is_told_once_and_stepped_through():
    many = history_limits.ORDERED_ROWS + 5
    agent, _ = lived([("transition", number, 0) for number in range(many)] + [("snapshot", 0, 0)] * many)
    records = list(Past(agent.agent_id).newest_first(at_once=7))
    assert len(records) == len({record.position for record in records}) == 2 * many
    assert [stop.position for stop in stepped_all(agent)] == [record.position for record in records]


def stepped_all(agent: models.AgentState) -> list[Record]:
    past = Past(agent.agent_id)
    record, found = past.last(), list[Record]()
    while record is not None:
        found.append(record)
        record = past.older(record.position)
    for newer, older in itertools.pairwise(found):
        assert past.newer(older.position) == newer
    return found


def test_a_json_state_is_compared_as_text_and_not_by_its_value():
    agent = make_agent("spelled", state=json.dumps({"a": 1}), updated_at=NOW)
    models.Transition.objects.create(agent_id="spelled", state_before="{}", state_after='{"a":1}', timestamp=NOW)
    assert [stop.kind for stop in stepped(agent)] == ["now", "transition"]
