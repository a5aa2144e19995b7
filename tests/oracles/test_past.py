"""The state at a time, and what a fleet is restored to, are what the naive answers say, whatever is in one second."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models, restore
from statestore.access.audit import SYSTEM
from statestore.errors import NotFound
from statestore.history import moments
from tests.builders import NOW, make_agent
from tests.examples import thoroughly_on_the_store
from tests.oracles import past

pytestmark = pytest.mark.django_db

numbers = itertools.count()
texts = st.sampled_from("ABC")
seconds = st.integers(0, 3)
changes = st.lists(st.tuples(seconds, texts, texts), max_size=3)
# Nothing fits by itself: records of all kinds, in any order and of any states, most of them in one second.
records = st.tuples(changes, changes, st.lists(st.tuples(seconds, texts), max_size=3), seconds, texts)


def stored(drawn: Any) -> tuple[models.AgentState, past.Records]:
    """Return an agent with some records, and the same for the naive answer."""
    transitions, captured, snapshots, saved_at, state = drawn
    agent_id = f"agent-{next(numbers)}"
    # In a namespace, an agent's key is not its id.
    agent = make_agent(agent_id, namespace="team", state=state, updated_at=NOW + saved_at)
    naive = past.Records((NOW + saved_at, state))
    for number, (at, before, after) in enumerate(transitions):
        models.Transition.objects.create(agent_id=agent_id, timestamp=NOW + at, state_before=before, state_after=after)
        naive.transitions.append((NOW + at, number, before, after))
    for number, (at, before, after) in enumerate(captured):
        models.CapturedChange.objects.create(agent_id=agent_id, at=NOW + at, state_before=before, state_after=after)
        naive.captured.append((NOW + at, number, before, after))
    for number, (at, text) in enumerate(snapshots):
        models.Snapshot.objects.create(agent_id=agent_id, created_at=NOW + at, state_data=text)
        naive.snapshots.append((NOW + at, number, text))
    return agent, naive


@thoroughly_on_the_store
@given(records, st.integers(NOW - 1, NOW + 4))
def test_the_state_at_a_time_is_the_naive_one(drawn: Any, second: int):
    agent, naive = stored(drawn)
    expected = past.state_at(naive, second)
    many = history.states_at([agent], second)
    if expected is None:
        assert many == {}
        with pytest.raises(NotFound):
            history.state_at(agent.agent_id, moments.AtTime(second))
        return
    known = history.state_at(agent.agent_id, moments.AtTime(second))
    assert past.Answer(known.text, known.at or 0, known.doubt_until) == expected
    assert many == {agent.agent_id: known}
    stop = history.stop_at(agent, moments.AtTime(second))
    assert stop is not None
    assert history.state_at(agent.agent_id, stop.moment).text == expected.text


@thoroughly_on_the_store
@given(st.lists(records, min_size=1, max_size=3), seconds)
def test_a_fleet_is_restored_to_the_naive_states(drawn: list[Any], second: int):
    models.AgentState.objects.all().delete()
    fleet = [stored(one) for one in drawn]
    expected = {agent.agent_id: past.state_at(naive, NOW + second) for agent, naive in fleet}
    verdicts = restore.preview_batch(models.AgentState.objects.all(), NOW + second)
    for verdict in verdicts:
        target, has = expected[verdict.agent.agent_id], verdict.agent.state_data
        assert verdict.kind == ("unknown" if target is None else "unchanged" if target.text == has else "change")
    chosen = [(verdict.agent.agent_id, verdict.etag) for verdict in verdicts if verdict.is_choosable]
    if chosen:
        restore.apply_batch(restore.prepare(chosen, NOW + second, by=SYSTEM), by=SYSTEM)
    for agent, _ in fleet:
        target = expected[agent.agent_id]
        state = models.AgentState.objects.get(pk=agent.pk).state_data
        assert state == (agent.state_data if target is None else target.text)
