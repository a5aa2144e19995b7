"""A state as a tree: each value leads to all that it ever was."""

import pytest
from django.test import Client

from statestore.views.tree import tree
from tests.builders import make_agent, make_transition

pytestmark = pytest.mark.django_db


def test_each_value_of_the_present_leads_to_its_history(viewer: Client):
    agent = make_agent("a1", state={"plan": {"goal/1": "x"}})
    make_transition(agent, {"plan": {}}, {"plan": {"goal/1": "x"}}, reason="planned")
    page = viewer.get("/agents/a1/").content.decode()
    address = "/agents/a1/history/?path=%2Fplan%2Fgoal~11"
    assert f'href="{address}"' in page
    assert "planned" in viewer.get(address).content.decode()


def test_a_past_state_and_an_agent_of_a_very_long_id_have_no_such_links():
    assert "history" not in tree({"a": 1}, agent_id="a1", moment="at:5")
    assert "history" not in tree({"a": 1}, agent_id="x " * 400)
    assert "history" in tree({"a": 1}, agent_id="a1")
