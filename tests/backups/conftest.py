"""Stores with rows that are committed, so that a copy has them."""

import pytest

from tests.builders import make_agent, make_event, make_snapshot, make_task, make_transition


@pytest.fixture
def filled() -> None:
    """Fill the store with a few rows of each kind; its test needs a database with real transactions."""
    for number in range(5):
        agent = make_agent(f"agent-{number}", state={"step": number, "notes": "ö" * 100})
        make_transition(agent, {"step": number - 1}, {"step": number})
        make_snapshot(agent)
        make_event(actor_id=agent.agent_id, content=f"said {number}")
    make_task()
