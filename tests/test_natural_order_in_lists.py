"""Where lists of names are in the order of the numbers in them."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from statestore import models, restore
from statestore.access.scope import Scope
from statestore.db.ids import to_address
from statestore.events import saved_searches
from tests.builders import NOW, make_agent, make_transition

pytestmark = pytest.mark.django_db
NAMES = ["team-2", "team-10", "team-33"]


def test_namespaces_to_choose_from_are_in_order():
    for name in reversed(NAMES):
        make_agent(f"agent of {name}", namespace=name)
    assert Scope().namespaces_in_use() == NAMES
    assert Scope(tuple(reversed(NAMES))).namespaces_in_use() == NAMES


def test_saved_searches_are_in_order():
    user = get_user_model().objects.create_user("ada")
    for name in reversed(NAMES):
        saved_searches.save(user.pk, name, "error")
    assert [view.name for view in saved_searches.by_name(user.pk)] == NAMES


def test_the_agents_of_a_batch_are_in_order():
    for name in reversed(NAMES):
        make_transition(make_agent(name, state={"n": 1}), {"n": 0}, {"n": 1}, timestamp=NOW + 9)
        make_transition(name, {"n": 0}, {"n": 0}, timestamp=NOW)
    verdicts = restore.preview_batch(models.AgentState.objects.all(), NOW + 1)
    assert [verdict.agent.agent_id for verdict in verdicts] == NAMES


def test_the_agents_of_an_action_are_shown_in_order(operator: Client):
    for name in NAMES:
        make_agent(name)
    asked = operator.post("/agents/bulk/", {"agent": [to_address(name) for name in NAMES], "action": "snapshot"})
    shown = re.findall(r">\s*(team-\d+)\s*<", asked.content.decode())
    assert list(dict.fromkeys(shown)) == NAMES
