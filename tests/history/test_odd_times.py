"""Times that are none: a column of times holds what another program put there, and the past is read to its end."""

from itertools import islice
from typing import Any

import pytest
from django.db import connections

from statestore import history, models
from statestore.db.fields import NonInteger
from statestore.db.routers import store_alias
from statestore.history.past import Past, Position
from statestore.history.walk import HistoryWalk
from statestore.jsondiff import predicate
from tests.builders import NOW, make_agent, make_transition

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

ODD: list[Any] = [-1e308, 1e300, float("inf"), 1.5, "soon", "2026-11-22 21:28:06", "x" * 200]


@pytest.fixture
def agent() -> models.AgentState:
    """Return an agent with two transitions at each odd time, and a few at usual ones."""
    agent = make_agent("odd", state={"step": 2 * len(ODD) + 4})
    for number in range(2 * len(ODD) + 4):
        make_transition(agent, {"step": number}, {"step": number + 1}, id=f"t{number}", timestamp=NOW + number)
    with connections[store_alias()].cursor() as cursor:
        for place, odd in enumerate(ODD):
            for number in (2 * place, 2 * place + 1):
                cursor.execute("UPDATE state_transitions SET timestamp = %s WHERE id = %s", [odd, f"t{number}"])
    return agent


def ids(records: list[history.Record]) -> list[str]:
    return [str(record.row.pk) for record in records]


@pytest.mark.parametrize("odd", ODD)
def test_a_cursor_keeps_a_time_as_it_is_stored(agent: models.AgentState, odd: Any):
    row = models.Transition.objects.get(id=f"t{2 * ODD.index(odd)}")
    position = Position(row.timestamp, row.rowid)
    again = Position.parse(str(position))
    assert again is not None
    assert again == position
    assert isinstance(again.at, NonInteger)
    assert again.at.raw == odd


def test_a_walk_reads_each_step_once_and_ends(agent: models.AgentState):
    walk = HistoryWalk("odd", store_alias(), budget_seconds=None)
    read = [step.id for step in islice(walk, 100)]
    assert len(read) == len(set(read)) == 2 * len(ODD) + 4
    assert walk.reached is None


def test_a_walk_that_is_taken_up_at_each_step_reads_each_once(agent: models.AgentState):
    read: list[str] = []
    cursor = ""
    for _ in range(100):
        walk = HistoryWalk("odd", store_alias(), start=Position.parse(cursor), budget_seconds=0)
        read += [step.id for step in walk]
        if walk.reached is None:
            break
        cursor = str(walk.reached)
    assert len(read) == len(set(read)) == 2 * len(ODD) + 4


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_have_each_record_once(agent: models.AgentState, size: int):
    past, found, before = Past("odd"), list[str](), None
    for _ in range(100):
        records = past.page(size, before)
        if not records:
            break
        found += ids(records)
        before = Position.parse(str(records[-1].position))
    assert len(found) == len(set(found))


def test_a_bisect_ends(agent: models.AgentState):
    result = history.bisect(agent, predicate.parse("/step < 3"), budget_seconds=1)
    assert result.reached is None
