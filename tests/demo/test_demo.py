"""The demo fleet: the same each time, each conversation in a known format, and its events say what its states say."""

import json
from collections import Counter
from typing import Any

import pytest

from statestore import conversations, demo, history, models
from statestore.conversations import Media, Role, Text

NOW = 1_790_000_000
pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet() -> dict[str, Any]:
    """The states of the demo's agents by their ids."""
    demo.load(NOW)
    return {agent.agent_id: json.loads(agent.state_data) for agent in models.AgentState.objects.all()}


def messages(state: Any) -> list[conversations.Message]:
    (found,) = conversations.message_lists(state)
    return [conversations.message(item, at) for at, item in enumerate(found.items)]


def test_it_is_the_same_each_time(fleet: dict[str, Any]):
    rows = {
        model: list(model.objects.order_by("pk").values_list("pk", flat=True))
        for model in (models.Transition, models.Event)
    }
    for model in (*rows, models.AgentState, models.Snapshot, models.SnapshotExpiry, models.Session, models.Task):
        model.objects.all().delete()
    models.TaskDependency.objects.all().delete()
    demo.load(NOW)
    assert rows == {model: list(model.objects.order_by("pk").values_list("pk", flat=True)) for model in rows}
    assert fleet == {agent.agent_id: json.loads(agent.state_data) for agent in models.AgentState.objects.all()}


def test_each_conversation_is_in_a_known_format_with_calls_beside_their_results(fleet: dict[str, Any]):
    forms = set()
    for agent_id, state in fleet.items():
        read = messages(state)
        forms |= {frozenset(item) for item in state["messages"]}
        assert all(one.role is not Role.OTHER for one in read), agent_id
        turns = conversations.paired(read)
        assert all(exchange.call and exchange.result for turn in turns for exchange in turn.exchanges), agent_id
        assert any(one.usage.tokens for one in read), agent_id
    assert len(forms) >= 8, "several formats"
    parts = [part for state in fleet.values() for one in messages(state) for part in one.parts]
    assert any(isinstance(part, Media) for part in parts)


def test_the_events_say_what_the_messages_say(fleet: dict[str, Any]):
    for agent_id, state in fleet.items():
        said = [
            one.parts[0].text
            for one in messages(state)
            if one.role is Role.ASSISTANT and isinstance(one.parts[0], Text)
        ]
        thoughts = set(
            models.Event.objects.filter(actor_id=agent_id, event_type="thought").values_list("content", flat=True)
        )
        assert said
        assert set(said) <= thoughts, agent_id


def test_only_the_agent_that_went_wrong_repeats_itself(fleet: dict[str, Any]):
    thoughts = models.Event.objects.filter(event_type="thought").values_list("actor_id", "content")
    often = {agent for (agent, _), number in Counter(thoughts).items() if number > 2}
    assert often == {"coder-2"}


def test_its_story_is_told_by_the_diagnosis(fleet: dict[str, Any]):
    found = history.diagnose(models.AgentState.objects.get(agent_id="coder-2"), silent_since=NOW)
    assert found is not None
    assert found.began is not None
    assert found.snapshot is not None
    assert (found.began.reason, found.snapshot.description) == ("context compacted after tool error", "before refactor")
