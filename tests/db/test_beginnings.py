"""A text that a column begins with is found in just these letters, on both databases."""

from typing import Any

import pytest
from django.db import connections
from django.db.models import F

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import make_agent

pytestmark = pytest.mark.django_db

NAMES: Any = ["team-3:a", "Team-3:a", "team-3", "team_3:a", "%:a", "é:a", "É:a"]


@pytest.mark.parametrize("begins", ["team-3:", "Team-3:", "team", "team_", "%", "é:", "é", "", "team-3:a", "team-3:ab"])
def test_a_beginning_is_found_in_its_letters(begins: str):
    for number, name in enumerate(NAMES):
        make_agent(f"agent-{number}", name=name)
    found = models.AgentState.objects.filter(name__startswith=begins).values_list("name", flat=True)
    assert sorted(found) == sorted(name for name in NAMES if name.startswith(begins))


def test_a_beginning_may_be_another_column():
    make_agent("a", name="a and more")
    make_agent("b", name="other")
    assert [agent.agent_id for agent in models.AgentState.objects.filter(name__startswith=F("agent_id"))] == ["a"]


@pytest.mark.sqlite
def test_a_beginning_may_be_invalid_bytes():
    make_agent("a", name="plain")
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE agent_states SET name = CAST(x'ff6162' AS TEXT)")
    assert models.AgentState.objects.filter(name__startswith="\udcffa").exists()
    assert not models.AgentState.objects.filter(name__startswith="\udcfea").exists()
